#include "fleetd/member.h"

#include <utility>

#include "base/duration.h"
#include "base/log.h"

namespace fleet::fleetd {

Member::Member(MemberDeps deps, const registry::Keys& keys, MemberSettings settings,
               MachineRecord record, agent::Identity identity, MemberListener listener)
    : deps_(std::move(deps)),
      keys_(keys),
      settings_(std::move(settings)),
      boot_id_(record.boot_id),
      identity_(std::move(identity)),
      listener_(std::move(listener)) {
  agent_ = std::make_unique<agent::Agent>(
      agent::AgentDeps{
          .executor = deps_.machine_loop,
          .store = deps_.machine_store,
          .systemd = deps_.systemd,
          .units = deps_.units,
          .journal = deps_.journal,
          .contents = deps_.contents,
          .guard = deps_.guard,
          .isolation_stop_timeout = settings_.isolation_stop_timeout,
          .on_joined = [this](store::LeaseId lease) { OnJoined(lease); },
          .on_lease_shared = [this] { deps_.lease_loop->Post([this] { lease_->Abandon(); }); },
          .restores_drift = settings_.restores_drift,
          .was_member = identity_.member_boot == boot_id_},
      keys_, settings_.machine_id, std::move(record));
  OpenLeases();
  mirror_ = std::make_unique<registry::Mirror>(
      deps_.engine_store, deps_.engine_loop, keys_,
      [this](const ViewChange& change) { OnViewChange(change); });
  mirror_->SetHealthListener([this](const absl::Status& health) {
    if (engine_) engine_->OnRegistryHealth(health);
    if (listener_.on_registry_health) listener_.on_registry_health(health);
  });
  if (settings_.disable_engine) return;
  engine_ = std::make_unique<engine::Engine>(deps_.engine_store, deps_.engine_loop, keys_,
                                             settings_.engine);
}

Member::~Member() = default;

void Member::OpenLeases() {
  registry::LeaseKeeper::Listener listener;
  listener.on_held = [this](store::LeaseId lease, absl::Duration ttl) {
    if (listener_.on_lease_failure) listener_.on_lease_failure("");
    deps_.machine_loop->Post([this, lease, ttl] { OnLeaseHeld(lease, ttl); });
  };
  listener.on_lost = [this] {
    deps_.machine_loop->Post([this] { agent_->OnLeaseLost(); });
    if (LeadsWithOwnLease()) return;
    deps_.engine_loop->Post([this] {
      if (engine_) engine_->OnLeaseLost();
    });
  };
  listener.on_failure = [this](const absl::Status& why) {
    if (listener_.on_lease_failure) listener_.on_lease_failure(std::string(why.message()));
  };
  listener.on_cut_off = [](const absl::Status& why) {
    log::Error("Server monitor triggered: Monitor timed out before successful heartbeat: {}",
               std::string(why.message()));
  };
  lease_ = std::make_unique<registry::LeaseKeeper>(deps_.lease_store, deps_.lease_loop,
                                                   settings_.agent_ttl, identity_.lease,
                                                   std::move(listener));
  if (!LeadsWithOwnLease() || settings_.disable_engine) return;
  registry::LeaseKeeper::Listener lead;
  lead.on_held = [this](store::LeaseId lease, absl::Duration) {
    deps_.engine_loop->Post([this, lease] {
      if (engine_) engine_->OnLease(lease);
    });
  };
  lead.on_lost = [this] {
    deps_.engine_loop->Post([this] {
      if (engine_) engine_->OnLeaseLost();
    });
  };
  lead.on_failure = [](const absl::Status&) {};
  lead.on_cut_off = [](const absl::Status&) {};
  lead_lease_ = std::make_unique<registry::LeaseKeeper>(
      deps_.lease_store, deps_.lease_loop, settings_.engine_ttl, /*saved=*/0, std::move(lead));
}

absl::Status Member::Start() {
  absl::Status started = agent_->Start();
  if (!started.ok()) return started;
  deps_.lease_loop->Post([this] {
    lease_->Start();
    if (lead_lease_) lead_lease_->Start();
  });
  deps_.engine_loop->Post([this] { mirror_->Start(); });
  return absl::OkStatus();
}

void Member::CloseEngineLoop() {
  engine_.reset();
  mirror_.reset();
}

void Member::CloseLeaseLoop() {
  lead_lease_.reset();
  lease_.reset();
}

absl::Status Member::RegistryHealth() const {
  return mirror_ == nullptr ? absl::OkStatus() : mirror_->health();
}

std::string Member::EngineDebugJson() const {
  return engine_ == nullptr ? std::string() : engine_->DebugJson();
}

void Member::OnLeaseHeld(store::LeaseId lease, absl::Duration ttl) {
  if (identity_.lease != lease) {
    identity_.lease = lease;
    const absl::Status saved = deps_.save_identity(identity_);
    if (!saved.ok()) {
      log::Error("the lease is not kept over a restart: {}", std::string(saved.message()));
    }
  }
  if (ttl != settings_.agent_ttl) {
    log::Info("the registry granted a TTL of {}; {} was asked for", DurationText(ttl),
              DurationText(settings_.agent_ttl));
  }
  agent_->OnLease(lease, ttl);
}

void Member::OnJoined(store::LeaseId lease) {
  if (identity_.member_boot != boot_id_) {
    identity_.member_boot = boot_id_;
    const absl::Status saved = deps_.save_identity(identity_);
    if (!saved.ok()) log::Error("{}", std::string(saved.message()));
  }
  if (listener_.on_joined) listener_.on_joined();
  deps_.engine_loop->Post([this, lease] {
    if (engine_ && !LeadsWithOwnLease()) engine_->OnLease(lease);
    if (std::exchange(serving_, true) || mirror_ == nullptr || mirror_->view() == nullptr) return;
    OnViewChange(ViewChange{mirror_->view(), {}, /*reset=*/true});
  });
}

void Member::OnViewChange(const ViewChange& change) {
  if (!engine_) DropOwnLead(*change.view);
  if (serving_ && listener_.on_view) listener_.on_view(change);
  if (engine_) engine_->OnViewChange(change);
}

// A machine whose engine was disabled while it led: its record would keep all others from leading.
void Member::DropOwnLead(const ClusterView& view) {
  if (!view.leader || view.leader->value.machine != settings_.machine_id) return;
  store::Txn txn;
  txn.compares.push_back(
      {store::Compare::Target::kModRevision, keys_.Leader(), view.leader->mod_revision});
  txn.ops.emplace_back(store::Delete{{keys_.Leader(), ""}});
  deps_.engine_store->Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>& result) {
    if (!result.ok()) log::Warning("the lead was not given up: {}", result.status().ToString());
  });
}

void Member::Stop(bool leaves, absl::AnyInvocable<void()> on_left,
                  absl::AnyInvocable<void()> done) {
  Resign([this, leaves, on_left = std::move(on_left), done = std::move(done)]() mutable {
    if (leaves) {
      Leave(std::move(on_left), std::move(done));
    } else {
      done();
    }
  });
}

void Member::Vacate(absl::AnyInvocable<void()> on_left) {
  Resign([this, on_left = std::move(on_left)]() mutable { agent_->Leave(std::move(on_left)); });
}

// `done` in the machine loop.
void Member::Resign(absl::AnyInvocable<void()> done) {
  deps_.engine_loop->Post([this, done = std::move(done)]() mutable {
    auto next = [this, done = std::move(done)]() mutable {
      deps_.machine_loop->Post(std::move(done));
    };
    if (engine_) {
      engine_->Resign(std::move(next));
    } else {
      next();
    }
  });
}

void Member::Leave(absl::AnyInvocable<void()> on_left, absl::AnyInvocable<void()> done) {
  agent_->Leave([this, on_left = std::move(on_left), done = std::move(done)]() mutable {
    on_left();
    identity_.lease = 0;
    const absl::Status saved = deps_.save_identity(identity_);
    if (!saved.ok()) log::Warning("{}", std::string(saved.message()));
    deps_.lease_loop->Post([this, done = std::move(done)]() mutable {
      lease_->Release([this, done = std::move(done)]() mutable {
        deps_.machine_loop->Post([done = std::move(done)]() mutable { done(); });
      });
    });
  });
}

}  // namespace fleet::fleetd
