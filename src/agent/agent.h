#pragma once

// The agent: brings what the engine has assigned to this machine to its systemd, and reports what
// systemd says. All decisions are AgentReconciler's; this is the shell that carries them out.
//
// Belongs to the machine loop; the store is bound to it. The lease is held elsewhere (the lease
// loop), whose keeper posts OnLease() and OnLeaseLost() here.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/content_cache.h"
#include "agent/isolation.h"
#include "agent/membership.h"
#include "base/executor.h"
#include "host/host.h"
#include "reconcile/agent_reconciler.h"
#include "registry/follower.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::agent {

// What the agent works with; all outlive it.
struct AgentDeps {
  Executor* executor = nullptr;
  store::Store* store = nullptr;
  host::Systemd* systemd = nullptr;
  host::UnitDirectory* units = nullptr;
  host::Journal* journal = nullptr;
  ContentCache* contents = nullptr;
  host::Guard* guard = nullptr;  // null: units with OnIsolation=stop are not started
  absl::Duration isolation_stop_timeout = absl::Seconds(5);
  // This machine's record is in place under that lease (again).
  std::function<void(store::LeaseId)> on_joined;
  // A copy of this machine goes on with the lease: it is to be abandoned.
  std::function<void()> on_lease_shared;
  bool restores_drift = false;  // else it is reported only
  // This boot of the machine was a member before, in an earlier process.
  bool was_member = false;
};

class Agent final : private host::Systemd::Listener, private registry::Follower::Listener {
 public:
  Agent(AgentDeps deps, const registry::Keys& keys, std::string machine_id, MachineRecord record);
  ~Agent() override;

  // Adopts what is installed. An error if the unit directory cannot be read.
  absl::Status Start();

  // `ttl`: what was granted.
  void OnLease(store::LeaseId lease, absl::Duration ttl);
  void OnLeaseLost();

  // This machine's record, and another one for it, after the configuration was read again.
  const MachineRecord& record() const { return membership_.record(); }
  void SetRecord(MachineRecord record) { membership_.Update(std::move(record), nullptr); }

  // Stops and removes all units here and reports that; then calls `done`. Also while the registry
  // cannot be reached: then nobody is told.
  void Leave(absl::AnyInvocable<void()> done);

  // OK when this machine is a member; else why not.
  const absl::Status& membership_status() const { return membership_.status(); }
  std::string DebugJson() const;

 private:
  // host::Systemd::Listener
  void OnUnitChanged(const host::UnitStatus& status) override;
  void OnUnitRemoved(const std::string& name) override;
  void OnJobBegan(const std::string& unit) override { reconciler_.OnJobBegan(unit); }
  void OnOtherJobEnded(const std::string& unit, const std::string& result) override;
  void OnResync() override;
  // registry::Follower::Listener, of this machine's assignments
  void OnReadBegin() override;
  void OnPut(const store::KeyValue& kv) override;
  void OnDelete(const store::KeyValue& kv) override;
  void OnReached(int64_t revision, bool read) override;

  void OnJoined();
  void CheckTexts();
  void ReadReported();
  void SchedulePump();
  void Pump();
  void Execute(reconcile::AgentAction action);
  void Start(const std::string& unit);
  void Diagnose(const std::string& unit);
  void Fetch(const std::string& hash);
  void ScheduleReports();
  void WriteReports();
  void OnReportsWritten(const absl::Status& status);
  void CheckLeft();

  const AgentDeps deps_;
  const registry::Keys keys_;
  const std::string machine_id_;
  Membership membership_;
  Isolation isolation_;
  absl::Duration ttl_;
  reconcile::AgentReconciler reconciler_;
  std::unique_ptr<registry::Follower> assignments_;
  std::map<std::string, Assignment> read_;  // of a read from scratch, while it lasts
  std::set<std::string> unreadable_;        // the same
  bool reading_ = false;
  bool has_read_ = false;
  std::deque<reconcile::AgentAction> actions_;
  std::vector<std::string> unchecked_;  // units whose text may have been edited
  bool check_scheduled_ = false;
  bool pump_scheduled_ = false;
  Executor::TimerId wakeup_ = 0;
  Executor::TimerId report_timer_ = 0;
  absl::Time report_at_;        // when that timer is due
  bool may_report_ = false;     // joined, and what the registry holds of us is known
  int reports_in_flight_ = 0;   // transactions
  absl::Status report_status_;  // of those
  // At which revision the registry has what this machine reports, by unit. A report replaces just
  // that: one that comes late, or a second time, must not undo a later one.
  std::map<std::string, int64_t> reported_at_;
  absl::AnyInvocable<void()> on_left_;
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::agent
