#pragma once

// Applies what users ask of units (submit, load, start, stop, restart, destroy) to the registry.
//
// Each change is atomic by itself; many are packed into few transactions, several of which are in
// flight. Every change compares the mod revision of units/<name> that it was decided on, also one
// that turns out to have nothing to do: what is reported held at some moment after the call. A
// transaction that conflicts is split, and a single change that conflicts is read again and decided
// anew. Two changes of the same unit in one call are applied one after the other.
//
// Lives in the loop that its store calls back in; all calls and callbacks are in that loop.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "model/cluster_view.h"
#include "model/entity_tag.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::registry {

struct UnitChange {
  std::string name;
  std::optional<DesiredState> desired;   // unset: as it is, inactive for a new unit
  std::shared_ptr<const UnitFile> file;  // null: none given
  // `file` was made from options: it is the same as a stored text that has the same options.
  bool from_options = false;
  bool replace = false;            // `file` replaces the text of a unit that exists and differs
  bool refuse_if_differs = false;  // a `file` that differs, without replace: ALREADY_EXISTS
  bool needs_file = false;         // a new unit is made from `file` only, never from its template
  bool restart = false;
  // With desired launched: start it also if that is its desired state already, where it has failed
  // or run to its end.
  bool start = false;
  // With desired loaded: stop it also if that is its desired state already and systemd has started
  // it by itself.
  bool stop = false;
  bool destroy = false;
  bool force = false;  // unknown [X-Fleet] keys pass
  // Of the unit's tag when the change is stored.
  Precondition condition;
  // As a backup has them: of a template, how many instances are kept; of an instance that is made
  // by this, that it counts as made because of that.
  std::optional<int64_t> replicas;
  bool made_by_replicas = false;
  bool resets_replicas = false;  // of a template: what its text says counts again
};

struct UnitChangeResult {
  enum class Effect { kNone, kCreated, kChanged, kUnchanged, kDestroyed };

  // INVALID_ARGUMENT     the name, the unit file, a template to be activated
  // NOT_FOUND            no such unit, and nothing to make it from
  // ALREADY_EXISTS       refuse_if_differs
  // FAILED_PRECONDITION  restart of an inactive unit; with `condition_failed`, the condition does
  // not
  //                      hold
  // ABORTED              others kept changing it at the same time
  // DEADLINE_EXCEEDED    it may or may not have been stored
  // UNAVAILABLE and other errors of the store: nothing was stored
  absl::Status status;
  Effect effect = Effect::kNone;
  bool condition_failed = false;
  // As the change has left it; with condition_failed, as it is. None: there is no such unit, or the
  // change has failed otherwise.
  std::optional<UnitRecord> record;
  bool same = false;     // `file` is what is stored
  bool differs = false;  // `file` is not what was stored (it is now, with replace)
  // A view that has this revision shows the result.
  int64_t revision = 0;
};

class UnitChanger {
 public:
  using Done = absl::AnyInvocable<void(std::vector<UnitChangeResult>)>;

  // `store` must outlive this object, and everything this object has started.
  UnitChanger(store::Store* store, Keys keys);

  // Decides by `view` (not null), and by what it reads anew where the view is behind. `done` gets
  // the results in the order of the changes; it may be called before Apply returns.
  void Apply(ClusterViewPtr view, std::vector<UnitChange> changes, Done done);

 private:
  store::Store* store_;
  Keys keys_;
};

}  // namespace fleet::registry
