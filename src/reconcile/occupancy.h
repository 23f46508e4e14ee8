#pragma once

// Keeps the scheduler's picture of who occupies which machine in step with the cluster view, and
// the requirements of each unit at hand.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"
#include "model/cluster_view.h"
#include "reconcile/decision.h"
#include "scheduler/scheduler.h"

namespace fleet::reconcile {

class Occupancy {
 public:
  explicit Occupancy(scheduler::Placement placement) : scheduler_(placement) {}

  const scheduler::Scheduler& scheduler() const { return scheduler_; }
  // Whoever moves units for a moment puts them back.
  scheduler::Scheduler& scheduler() { return scheduler_; }

  // The requirements of the unit's stored text; an error that says why they cannot be read
  // (NOT_FOUND while the content is not there). Cached by (unit, content). The scheduler knows the
  // unit afterwards.
  absl::StatusOr<scheduler::RequirementsPtr> RequirementsOf(const ClusterView& view,
                                                            const std::string& unit,
                                                            const std::string& content_hash);
  // The same for what only might become its text, until it is called with the one that it has.
  absl::StatusOr<scheduler::RequirementsPtr> PretendText(const ClusterView& view,
                                                         const std::string& unit,
                                                         const std::string& content_hash);
  // What was read last; null if nothing was, or it cannot be read.
  scheduler::RequirementsPtr LastRequirementsOf(const std::string& unit) const;
  // REQUIRES that its requirements have been read.
  scheduler::UnitId IdOf(const std::string& unit) const { return *scheduler_.FindUnit(unit); }
  // 0 for a unit that is not known.
  int64_t PriorityOf(const std::string& unit) const;

  // Makes the scheduler's machine what the view says.
  void SyncMachine(const ClusterView& view, const std::string& machine);

  // A closed machine gets nothing new; what it has stays.
  void SetClosed(const ClusterView& view, const std::string& machine, bool closed);

  // Makes the unit's places what the view says. True if it has left a machine, or is leaving one:
  // others may fit there now.
  bool SyncUnit(const ClusterView& view, const std::string& unit);

  // The same, as if the decision had been committed already.
  bool Anticipate(const ClusterView& view, const Decision& decision);

  // Holds a place for a unit that cannot be decided about yet, until it is decided about, or the
  // promise is broken.
  void Promise(const ClusterView& view, const std::string& unit, const std::string& machine);
  void BreakPromise(const ClusterView& view, const std::string& unit);

  // What would rule one of the units out on this machine, as newcomers, if all of them were there
  // and `without` were not. Empty: they fit.
  std::string RulesOutTogether(std::span<const scheduler::UnitId> units, const std::string& machine,
                               std::span<const scheduler::UnitId> without = {});

  // Units that occupy this machine, present or not.
  std::vector<std::string> UnitsOn(const std::string& machine) const;
  bool HasUnits(const std::string& machine) const;
  // Those of them that are on their way out.
  std::vector<scheduler::UnitId> LeavingOn(const std::string& machine) const;

  // Units whose MachineOf or CollocateWithin names this one.
  const std::set<std::string>& FollowersOf(const std::string& unit) const;
  // Units with Replaces.
  const std::set<std::string>& replacers() const { return replacers_; }
  bool IsGlobal(const std::string& unit) const { return globals_.contains(unit); }
  const std::set<std::string>& globals() const { return globals_; }

  // Sorted by machine, each once.
  using Places = std::vector<std::pair<scheduler::Slot, scheduler::Hold>>;
  // The unit runs on this machine and on no other one, until Restore() is given what it returns.
  Places PretendOnlyOn(scheduler::UnitId unit, const std::string& machine);
  // It runs there, too.
  Places PretendAlsoOn(scheduler::UnitId unit, const std::string& machine);
  void Restore(scheduler::UnitId unit, const Places& places);

 private:
  // What units with the same text share.
  struct Text {
    scheduler::RequirementsPtr requirements;  // of the last one that was read
    size_t units = 0;
  };
  using Texts = absl::node_hash_map<std::string, Text>;  // by hash
  struct Known {
    Texts::value_type* text = nullptr;
    scheduler::RequirementsPtr requirements;  // null: they cannot be read
    absl::Status error;
    bool has_changed = false;  // since its places were last told to the scheduler
    bool is_merged = false;    // the scheduler knows it with what another text reserves
  };

  const Known* Find(const std::string& unit) const;
  Known* Find(const std::string& unit) {
    return const_cast<Known*>(std::as_const(*this).Find(unit));
  }
  void Note(const ClusterView& view, const std::string& unit, const std::string& content_hash,
            absl::StatusOr<scheduler::RequirementsPtr> requirements);
  void TellRequirements(const ClusterView& view, const std::string& unit, Known& known);
  void Forget(const std::string& unit);
  void ReleaseText(Known& known);
  void NoteRelations(const std::string& unit, const Requirements* before,
                     const Requirements* requirements);
  bool AnticipateUnit(const ClusterView& view, const std::string& unit,
                      const std::vector<Write>& writes);
  Places PlacesOf(scheduler::UnitId unit) const;
  bool SetPlaces(const std::string& unit, Places places);
  bool Tell(scheduler::UnitId unit, const Places& places);

  scheduler::Scheduler scheduler_;
  Texts texts_;
  std::vector<Known> known_;  // by the scheduler's number
  absl::flat_hash_map<std::string, std::set<std::string>> followers_;
  absl::flat_hash_map<std::string, std::string> promised_;  // unit → machine
  std::set<std::string> closed_;
  std::set<std::string> globals_;
  std::set<std::string> replacers_;
};

// What a text asks for, for this unit. NOT_FOUND while it is not in the registry.
absl::StatusOr<scheduler::RequirementsPtr> ReadRequirements(const ClusterView& view,
                                                            const std::string& unit,
                                                            const std::string& content_hash);

// True if the machine has reported that exactly this assignment has ended on it.
bool ReportedGone(const ClusterView& view, const std::string& unit, const std::string& machine,
                  const Assignment& assignment);

// Whether something of the unit is on the machine still, or assigned to it.
bool IsLeft(const ClusterView& view, const UnitOnMachine& place);

}  // namespace fleet::reconcile
