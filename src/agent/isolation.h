#pragma once

// Keeps the deadline of this machine's units with OnIsolation=stop ahead, as long as it is certain
// that no engine may take the machine for lost: by a linearizable read of its own record, still
// under its lease, the lease's TTL counted from when the read was *sent*. Nothing else moves the
// deadline, an answer to a keep-alive least of all. docs/reliability.md has the argument.
//
// The guard holds the deadline; this is how fleetd pushes it, once per keep-alive interval, and
// only while there are such units (C1). Belongs to the machine loop, the store bound to it.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/executor.h"
#include "host/host.h"
#include "model/records.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::agent {

class Isolation {
 public:
  struct Hooks {
    // Units that may be started, and what keeps the others from it if it is not just time.
    std::function<void(std::set<std::string> armed, const std::string& why_not)> on_guard;
    // The guard has stopped these.
    std::function<void(const std::set<std::string>& units)> on_stopped;
  };

  // `guard` may be null: there is none, and nothing is ever armed. All outlive this object.
  Isolation(store::Store* store, Executor* executor, host::Guard* guard, std::string record_key,
            std::string boot_id, absl::Duration stop_timeout, Hooks hooks);
  ~Isolation();
  Isolation(const Isolation&) = delete;
  Isolation& operator=(const Isolation&) = delete;

  // The machine's record is in place under this lease, which was granted for `ttl`.
  void OnJoined(store::LeaseId lease, absl::Duration ttl);
  void OnLeaseLost();
  void SetUnits(const std::set<std::string>& units);

  // False for a unit of those set whose deadline has passed, whatever was told last: fleetd may
  // have been suspended since.
  bool MayStart(const std::string& unit) const;
  bool Guards(const std::string& unit) const { return units_.contains(unit); }
  // Grows whenever the deadline passes. A start that was asked for before may have come to nothing,
  // which systemd calls a success: the guard keeps units from starting by a condition.
  uint64_t lapses() const;

 private:
  void Confirm();
  void ConfirmAfter(absl::Duration delay);
  void OnConfirmed(absl::Time sent);
  void Arm();
  void OnArmed(const std::set<std::string>& units, absl::Time deadline,
               const absl::StatusOr<std::set<std::string>>& stopped);
  void Tell(std::set<std::string> armed, const std::string& why_not);

  store::Store* const store_;
  Executor* const executor_;
  host::Guard* const guard_;
  const std::string record_key_;
  const std::string boot_id_;
  const absl::Duration stop_timeout_;
  const Hooks hooks_;
  std::set<std::string> units_;
  store::LeaseId lease_ = 0;
  absl::Duration ttl_;
  absl::Time deadline_ = absl::InfinitePast();        // as confirmed
  absl::Time armed_deadline_ = absl::InfinitePast();  // as the guard holds it
  uint64_t earlier_lapses_ = 0;                       // of deadlines that the guard held before
  std::set<std::string> armed_;
  std::set<std::string> noted_;
  bool confirming_ = false;
  bool arming_ = false;
  bool arm_again_ = false;
  Executor::TimerId confirm_timer_ = 0;
  Executor::TimerId deadline_timer_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::agent
