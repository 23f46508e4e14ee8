#pragma once

// One machine's part in the cluster: its lease, its agent, its mirror and its engine, wired
// together over three loops. fleetd runs it on real loops, stores and systemd; the simulator runs
// the same on simulated ones. No decisions.
//
//   lease loop    the leases (registry::LeaseKeeper), nothing else
//   machine loop  agent
//   engine loop   mirror and engine
//
// The loops exchange immutable values by Post(). Each function says which loop it belongs to.

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/agent.h"
#include "agent/content_cache.h"
#include "agent/identity.h"
#include "base/executor.h"
#include "base/ids.h"
#include "engine/engine.h"
#include "host/host.h"
#include "registry/keys.h"
#include "registry/lease_keeper.h"
#include "registry/mirror.h"
#include "store/store.h"

namespace fleet::fleetd {

// What it works with; all outlive it. Each store is a handle for the loop of its name.
struct MemberDeps {
  Executor* machine_loop = nullptr;
  Executor* lease_loop = nullptr;
  Executor* engine_loop = nullptr;
  store::Store* machine_store = nullptr;
  store::Store* lease_store = nullptr;
  store::Store* engine_store = nullptr;
  host::Systemd* systemd = nullptr;
  host::UnitDirectory* units = nullptr;
  host::Journal* journal = nullptr;
  agent::ContentCache* contents = nullptr;
  host::Guard* guard = nullptr;  // null: units with OnIsolation=stop are not started
  std::function<absl::Status(const agent::Identity&)> save_identity;
};

struct MemberSettings {
  std::string machine_id;
  absl::Duration agent_ttl;
  absl::Duration engine_ttl;
  bool disable_engine = false;
  absl::Duration isolation_stop_timeout = absl::Seconds(5);
  bool restores_drift = false;  // else it is reported only
  engine::EngineOptions engine;
};

// Who is told what; any may be empty.
struct MemberListener {
  // Engine loop: a step of the mirror, from the moment that this machine has joined.
  absl::AnyInvocable<void(const ViewChange&)> on_view;
  // Engine loop: why the registry cannot be read, or OK.
  absl::AnyInvocable<void(const absl::Status&)> on_registry_health;
  // Machine loop: this machine's record is in place (again).
  absl::AnyInvocable<void()> on_joined;
  // Lease loop: why the lease could not be granted or renewed, "" once it is.
  absl::AnyInvocable<void(const std::string&)> on_lease_failure;
};

class Member {
 public:
  // Before any of the loops runs, or in all of them.
  Member(MemberDeps deps, const registry::Keys& keys, MemberSettings settings, MachineRecord record,
         agent::Identity identity, MemberListener listener);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // Adopts what is installed here, then begins. Machine loop. An error if the unit directory
  // cannot be read.
  absl::Status Start();

  // Gives up the lead. `leaves`: all units here stop and are told gone (`on_left`), then the lease
  // ends; with the registry out of reach nobody is told. Otherwise they run on and the lease is
  // kept. Machine loop, and the callbacks there.
  void Stop(bool leaves, absl::AnyInvocable<void()> on_left, absl::AnyInvocable<void()> done);

  // Gives up the lead and has all units here stop, and told gone (`on_left`); the lease is kept.
  // Machine loop.
  void Vacate(absl::AnyInvocable<void()> on_left);

  agent::Agent& agent() { return *agent_; }  // machine loop
  // Engine loop: why the registry cannot be read, or OK.
  absl::Status RegistryHealth() const;
  // Engine loop. Empty without an engine.
  std::string EngineDebugJson() const;
  bool Leads() const { return engine_ != nullptr && engine_->leads(); }

  // What lives in a loop ends in it. In that loop, before this object is destroyed.
  void CloseEngineLoop();
  void CloseLeaseLoop();

 private:
  void OpenLeases();
  bool LeadsWithOwnLease() const { return settings_.engine_ttl != settings_.agent_ttl; }
  void OnViewChange(const ViewChange& change);
  void DropOwnLead(const ClusterView& view);
  void OnJoined(store::LeaseId lease);
  void OnLeaseHeld(store::LeaseId lease, absl::Duration ttl);
  void Resign(absl::AnyInvocable<void()> done);
  void Leave(absl::AnyInvocable<void()> on_left, absl::AnyInvocable<void()> done);

  const MemberDeps deps_;
  const registry::Keys keys_;
  const MemberSettings settings_;
  const std::string boot_id_;
  agent::Identity identity_;  // machine loop
  MemberListener listener_;

  // Machine loop.
  std::unique_ptr<agent::Agent> agent_;
  // Lease loop.
  std::unique_ptr<registry::LeaseKeeper> lease_;
  std::unique_ptr<registry::LeaseKeeper> lead_lease_;  // if the leader's TTL is another one
  // Engine loop.
  std::unique_ptr<registry::Mirror> mirror_;
  std::unique_ptr<engine::Engine> engine_;
  bool serving_ = false;  // this machine has joined: others may see the cluster
};

}  // namespace fleet::fleetd
