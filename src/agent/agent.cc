#include "agent/agent.h"

#include <set>
#include <type_traits>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "base/status.h"
#include "fmt/core.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"

namespace fleet::agent {

namespace {

// A turn of the machine loop stays well below 50 ms.
constexpr absl::Duration kTurn = absl::Milliseconds(20);
// How long reports are gathered before they are written.
constexpr absl::Duration kGather = absl::Milliseconds(15);
constexpr absl::Duration kReportRetry = absl::Milliseconds(500);
constexpr size_t kReportsPerTxn = 100;
constexpr int kTailLines = 10;
constexpr int kTextsPerTurn = 100;
constexpr absl::Duration kJournalPause = absl::Milliseconds(100);

absl::Status CutOff() {
  return absl::UnavailableError("this machine is cut off from the registry");
}

}  // namespace

Agent::Agent(AgentDeps deps, const registry::Keys& keys, std::string machine_id,
             MachineRecord record)
    : deps_(std::move(deps)),
      keys_(keys),
      machine_id_(std::move(machine_id)),
      membership_(deps_.store, deps_.executor, keys, machine_id_, std::move(record),
                  deps_.was_member, {[this] { OnJoined(); }, deps_.on_lease_shared}),
      isolation_(deps_.store, deps_.executor, deps_.guard, keys.Machine(machine_id_),
                 membership_.record().boot_id, deps_.isolation_stop_timeout,
                 {[this](std::set<std::string> armed, const std::string& why_not) {
                    reconciler_.OnGuard(std::move(armed), why_not);
                    SchedulePump();
                  },
                  [this](const std::set<std::string>& units) {
                    for (reconcile::WriteNote& note : reconciler_.OnGuardStopped(units)) {
                      Execute(std::move(note));
                    }
                    SchedulePump();
                  }}),
      alive_(std::make_shared<bool>(true)) {
  reconciler_.SetRestoresDrift(deps_.restores_drift);
}

Agent::~Agent() {
  for (const Executor::TimerId timer : {wakeup_, report_timer_}) {
    if (timer != 0) deps_.executor->Cancel(timer);
  }
}

absl::Status Agent::Start() {
  ASSIGN_OR_RETURN(const auto installed, deps_.units->List());
  reconciler_.Adopt(installed);
  std::set<std::string> hashes;
  for (const host::InstalledUnit& unit : installed) hashes.insert(unit.note.content_hash);
  deps_.contents->KeepOnly(hashes);
  if (!installed.empty()) log::Info("{} units are installed on this machine", installed.size());
  deps_.systemd->SetListener(this);
  OnResync();
  return absl::OkStatus();
}

void Agent::OnLease(store::LeaseId lease, absl::Duration ttl) {
  ttl_ = ttl;
  MachineRecord record = membership_.record();
  record.ttl_millis = absl::ToInt64Milliseconds(ttl);
  membership_.OnLease(lease, std::move(record));
}

void Agent::OnLeaseLost() {
  log::Warning("this machine's lease has ended: its units run on, the cluster counts it as lost");
  may_report_ = false;
  assignments_.reset();
  reconciler_.OnMembershipLost();
  isolation_.OnLeaseLost();
  membership_.OnLeaseLost();
}

void Agent::OnJoined() {
  if (deps_.on_joined) deps_.on_joined(membership_.lease());
  isolation_.OnJoined(membership_.lease(), ttl_);
  ReadReported();
  has_read_ = false;
  // Anew each time: only a complete read says what has to stop before anything starts (S1).
  reconciler_.OnMembershipLost();
  assignments_ = std::make_unique<registry::Follower>(
      deps_.store, deps_.executor, keys_, keys_.AssignmentsOf(machine_id_),
      "the list of this machine's units", static_cast<registry::Follower::Listener*>(this));
  assignments_->Start();
}

// What the registry holds of this machine, so that only what differs is written.
void Agent::ReadReported() {
  may_report_ = false;
  deps_.store->Range(
      {keys_.StatesOf(machine_id_), 0, 0},
      [this, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
        if (alive.expired() || !membership_.joined()) return;
        if (!result.ok()) {
          deps_.executor->PostAfter(kReportRetry, [this, alive] {
            if (!alive.expired() && membership_.joined()) ReadReported();
          });
          return;
        }
        std::map<std::string, StateReport> reported;
        reported_at_.clear();
        for (const store::KeyValue& kv : result->kvs) {
          const auto change = keys_.Parse(kv.key);
          if (!change) continue;
          reported_at_[change->name] = kv.mod_revision;
          auto report = registry::DecodeState(kv.value);
          if (report.ok()) reported.emplace(change->name, *std::move(report));
        }
        reconciler_.SetReported(reported);
        may_report_ = true;
        ScheduleReports();
      });
}

void Agent::Leave(absl::AnyInvocable<void()> done) {
  on_left_ = std::move(done);
  MachineRecord record = membership_.record();
  record.leaving = true;
  membership_.Update(std::move(record), nullptr);
  reconciler_.BeginLeaving();
  SchedulePump();
}

void Agent::CheckLeft() {
  if (!on_left_ || !reconciler_.HasLeft() || !actions_.empty()) return;
  const bool told = !may_report_ ||
                    (reports_in_flight_ == 0 && reconciler_.NextReport() == absl::InfiniteFuture());
  if (told) std::exchange(on_left_, nullptr)();
}

void Agent::OnUnitChanged(const host::UnitStatus& status) {
  reconciler_.OnUnitChanged(status);
  SchedulePump();
}

void Agent::OnUnitRemoved(const std::string& name) {
  reconciler_.OnUnitRemoved(name);
  SchedulePump();
}

void Agent::OnResync() {
  deps_.systemd->ListUnits([this, alive = std::weak_ptr(alive_)](
                               const absl::StatusOr<std::vector<host::UnitStatus>>& units) {
    if (alive.expired()) return;
    if (!units.ok()) {
      log::Warning("systemd's units cannot be listed: {}", units.status().ToString());
      return;  // OnResync() comes again with the connection
    }
    reconciler_.OnUnitList(*units);
    SchedulePump();
    // Whoever edits a unit's file has systemd reload.
    unchecked_ = reconciler_.InstalledUnits();
    CheckTexts();
  });
}

void Agent::OnOtherJobEnded(const std::string& unit, const std::string& result) {
  reconciler_.OnOtherJobEnded(unit, result);
  SchedulePump();
}

// A few at a time: thousands would be a long turn.
void Agent::CheckTexts() {
  if (unchecked_.empty() || std::exchange(check_scheduled_, true)) return;
  deps_.executor->Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    check_scheduled_ = false;
    for (int i = 0; i < kTextsPerTurn && !unchecked_.empty(); ++i) {
      const std::string unit = std::move(unchecked_.back());
      unchecked_.pop_back();
      const auto text = deps_.units->ReadText(unit);
      if (text.ok()) reconciler_.OnTextRead(unit, Sha256Hex(*text));
    }
    SchedulePump();
    CheckTexts();
  });
}

void Agent::OnReadBegin() {
  reading_ = true;
  read_.clear();
  unreadable_.clear();
}

void Agent::OnPut(const store::KeyValue& kv) {
  const auto change = keys_.Parse(kv.key);
  if (!change) return;
  auto assignment = registry::DecodeAssignment(kv.value);
  if (!assignment.ok()) {
    log::Error("assignment {}: {}; the unit is left as it is", kv.key,
               std::string(assignment.status().message()));
    if (reading_) {
      unreadable_.insert(change->name);
    } else {
      reconciler_.OnUnreadableAssignment(change->name);
    }
    return;
  }
  if (reading_) {
    read_.insert_or_assign(change->name, *std::move(assignment));
  } else {
    reconciler_.OnAssignment(change->name, *assignment);
  }
}

void Agent::OnDelete(const store::KeyValue& kv) {
  const auto change = keys_.Parse(kv.key);
  if (change) reconciler_.OnAssignment(change->name, std::nullopt);
}

void Agent::OnReached(int64_t, bool read) {
  if (read) {
    reading_ = false;
    reconciler_.OnAssignments(std::exchange(read_, {}), std::exchange(unreadable_, {}));
    // A registry that was restored holds what was reported earlier, or nothing.
    if (std::exchange(has_read_, true) && membership_.joined()) ReadReported();
  }
  SchedulePump();
}

void Agent::SchedulePump() {
  if (std::exchange(pump_scheduled_, true)) return;
  deps_.executor->Post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) Pump();
  });
}

void Agent::Pump() {
  pump_scheduled_ = false;
  const absl::Time begin = deps_.executor->Now();
  do {
    for (auto& action : reconciler_.Step(deps_.executor->Now())) {
      actions_.push_back(std::move(action));
    }
    while (!actions_.empty() && deps_.executor->Now() - begin < kTurn) {
      auto action = std::move(actions_.front());
      actions_.pop_front();
      Execute(std::move(action));
    }
    if (!actions_.empty()) SchedulePump();
  } while (actions_.empty() && reconciler_.HasWork());
  isolation_.SetUnits(reconciler_.guarded_units());
  if (wakeup_ != 0) deps_.executor->Cancel(std::exchange(wakeup_, 0));
  const absl::Time next = reconciler_.NextWakeup();
  if (next != absl::InfiniteFuture()) {
    wakeup_ = deps_.executor->PostAfter(next - deps_.executor->Now(), [this] {
      wakeup_ = 0;
      Pump();
    });
  }
  ScheduleReports();
  CheckLeft();
}

void Agent::Execute(reconcile::AgentAction action) {
  if (const std::string what = reconcile::Describe(action); !what.empty()) log::Debug("{}", what);
  // Answers come later, when this agent may be gone.
  const auto answer = [this](auto method) {
    return [this, method, alive = std::weak_ptr(alive_)](const auto&... values) {
      if (alive.expired()) return;
      method(values...);
      SchedulePump();
    };
  };
  std::visit(
      [&](auto& a) {
        using A = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<A, reconcile::FetchContent>) {
          Fetch(a.hash);
        } else if constexpr (std::is_same_v<A, reconcile::CheckInstall>) {
          reconciler_.OnInstallChecked(a.unit.name, a.unit.note.content_hash,
                                       deps_.units->CheckInstall(a.unit));
        } else if constexpr (std::is_same_v<A, reconcile::InstallUnit>) {
          reconciler_.OnInstalled(a.unit.name, deps_.units->Install(a.unit));
        } else if constexpr (std::is_same_v<A, reconcile::WriteNote>) {
          const absl::Status status = deps_.units->WriteNote(a.unit, a.note);
          if (!status.ok()) {
            log::Error("the note of {} was not written: {}", a.unit, std::string(status.message()));
            reconciler_.OnNoteNotWritten(a.unit);
          }
        } else if constexpr (std::is_same_v<A, reconcile::RemoveUnit>) {
          reconciler_.OnRemoved(a.unit, deps_.units->Remove(a.unit));
        } else if constexpr (std::is_same_v<A, reconcile::StartUnit>) {
          Start(a.unit);
        } else if constexpr (std::is_same_v<A, reconcile::StopUnit>) {
          deps_.systemd->Stop(a.unit, answer([this, unit = a.unit](const auto& result) {
                                reconciler_.OnStopped(unit, result);
                              }));
        } else if constexpr (std::is_same_v<A, reconcile::ResetFailed>) {
          deps_.systemd->ResetFailed(
              a.unit, answer([this, unit = a.unit](const auto&) { reconciler_.OnReset(unit); }));
        } else if constexpr (std::is_same_v<A, reconcile::CheckReload>) {
          deps_.systemd->NeedsReload(a.unit, answer([this, unit = a.unit](const auto& needed) {
                                       reconciler_.OnReloadChecked(unit, needed.ok() && *needed);
                                     }));
        } else if constexpr (std::is_same_v<A, reconcile::LoadUnit>) {
          deps_.systemd->GetUnit(a.unit, answer([this, unit = a.unit](const auto& status) {
                                   reconciler_.OnLoaded(unit, status);
                                 }));
        } else if constexpr (std::is_same_v<A, reconcile::Diagnose>) {
          // journald may not have read yet what the unit said last.
          deps_.executor->PostAfter(kJournalPause,
                                    [this, unit = a.unit, alive = std::weak_ptr(alive_)] {
                                      if (!alive.expired()) Diagnose(unit);
                                    });
        } else if constexpr (std::is_same_v<A, reconcile::EnableUnits>) {
          deps_.systemd->Enable(a.units, answer([this, units = a.units](const auto& status) {
                                  reconciler_.OnEnabled(units, status);
                                }));
        } else if constexpr (std::is_same_v<A, reconcile::DisableUnits>) {
          reconciler_.OnDisabled(a.units, deps_.units->RemoveInstallLinks(a.units));
        } else {
          static_assert(std::is_same_v<A, reconcile::ReloadSystemd>);
          deps_.systemd->Reload(answer([this](const auto& status) {
            if (!status.ok()) log::Error("systemd could not reload: {}", status.ToString());
            reconciler_.OnReloaded();
          }));
        }
      },
      action);
}

void Agent::Start(const std::string& unit) {
  const bool guarded = isolation_.Guards(unit);
  host::JobCallback done = [this, unit, guarded, lapses = isolation_.lapses(),
                            alive = std::weak_ptr(alive_)](absl::StatusOr<std::string> result) {
    if (alive.expired()) return;
    if (guarded && isolation_.lapses() != lapses) result = CutOff();
    reconciler_.OnStarted(unit, result);
    SchedulePump();
  };
  if (isolation_.MayStart(unit)) return deps_.systemd->Start(unit, std::move(done));
  deps_.executor->Post([done = std::move(done)]() mutable { done(CutOff()); });
}

void Agent::Diagnose(const std::string& unit) {
  const std::weak_ptr<bool> alive = alive_;
  // What systemd could not load it told of in its answer to the start, not in a signal.
  deps_.systemd->GetUnit(unit, [this, alive](const absl::StatusOr<host::UnitStatus>& status) {
    if (alive.expired() || !status.ok()) return;
    reconciler_.OnUnitChanged(*status);
    SchedulePump();
  });
  deps_.systemd->GetResult(unit, [this, alive, unit](const absl::StatusOr<std::string>& result) {
    if (alive.expired()) return;
    reconciler_.OnDiagnosed(unit, result.value_or(""), deps_.journal->Tail(unit, kTailLines));
    SchedulePump();
  });
}

void Agent::Fetch(const std::string& hash) {
  if (auto cached = deps_.contents->Find(hash)) {
    reconciler_.OnContent(hash, std::move(cached));
    return;
  }
  deps_.store->Range(
      {{keys_.Content(hash), ""}, 1, 0},
      [this, hash, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
        if (alive.expired()) return;
        SchedulePump();
        if (!result.ok()) return reconciler_.OnContent(hash, result.status());
        if (result->kvs.empty()) {
          return reconciler_.OnContent(
              hash, absl::NotFoundError(
                        fmt::format("its text ({}) is not in the registry", hash.substr(0, 7))));
        }
        auto content = registry::DecodeContent(result->kvs[0].value);
        if (!content.ok()) return reconciler_.OnContent(hash, content.status());
        deps_.contents->Store(*content->file);
        reconciler_.OnContent(hash, content->file);
      });
}

void Agent::ScheduleReports() {
  if (!may_report_ || reports_in_flight_ > 0) return;
  const absl::Time next = reconciler_.NextReport();
  if (next == absl::InfiniteFuture()) return;
  const absl::Time at = std::max(next, deps_.executor->Now() + kGather);
  if (report_timer_ != 0) {
    if (report_at_ <= at) return;
    // It waits for a unit that flaps; this report is another one's.
    deps_.executor->Cancel(std::exchange(report_timer_, 0));
  }
  report_at_ = at;
  report_timer_ = deps_.executor->PostAfter(at - deps_.executor->Now(), [this] {
    report_timer_ = 0;
    WriteReports();
  });
}

void Agent::WriteReports() {
  if (!may_report_) return;
  const auto writes = reconciler_.TakeReports(deps_.executor->Now());
  report_status_ = absl::OkStatus();
  for (size_t begin = 0; begin < writes.size(); begin += kReportsPerTxn) {
    store::Txn txn;
    txn.compares.push_back({store::Compare::Target::kModRevision, keys_.Machine(machine_id_),
                            membership_.mod_revision()});
    std::map<std::string, bool> stays;  // by unit
    for (size_t i = begin; i < std::min(writes.size(), begin + kReportsPerTxn); ++i) {
      std::string key = keys_.State(machine_id_, writes[i].unit);
      stays[writes[i].unit] = writes[i].report.has_value();
      const auto before = reported_at_.find(writes[i].unit);
      txn.compares.push_back({store::Compare::Target::kModRevision, key,
                              before == reported_at_.end() ? 0 : before->second});
      if (writes[i].report) {
        txn.ops.emplace_back(
            store::Put{std::move(key), registry::Encode(*writes[i].report), membership_.lease()});
      } else {
        txn.ops.emplace_back(store::Delete{{std::move(key), ""}});
      }
    }
    ++reports_in_flight_;
    deps_.store->Commit(std::move(txn), [this, stays = std::move(stays),
                                         alive = std::weak_ptr(alive_)](
                                            const absl::StatusOr<store::TxnResult>& result) {
      if (alive.expired()) return;
      if (!result.ok()) return OnReportsWritten(result.status());
      if (!result->succeeded) {
        return OnReportsWritten(absl::AbortedError("what is known of this machine has changed"));
      }
      for (const auto& [unit, is_put] : stays) {
        if (is_put) {
          reported_at_[unit] = result->revision;
        } else {
          reported_at_.erase(unit);
        }
      }
      OnReportsWritten(absl::OkStatus());
    });
  }
  if (writes.empty()) ScheduleReports();
  CheckLeft();
}

void Agent::OnReportsWritten(const absl::Status& status) {
  if (!status.ok()) report_status_ = status;
  if (--reports_in_flight_ > 0) return;
  if (report_status_.ok()) {
    ScheduleReports();
    CheckLeft();
    return;
  }
  // What of it was stored is not known, or may yet be: writing this machine's record anew voids it.
  // With the lease gone, joining again reads what is there.
  log::Warning("unit states could not be reported: {}", std::string(report_status_.message()));
  may_report_ = false;
  CheckLeft();
  deps_.executor->PostAfter(kReportRetry, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || !membership_.joined()) return;
    membership_.Update(membership_.record(), [this] { ReadReported(); });
  });
}

std::string Agent::DebugJson() const {
  nlohmann::json units = nlohmann::json::array();
  for (const auto& unit : reconciler_.Summaries()) {
    units.push_back({{"name", unit.name},
                     {"desired", unit.desired},
                     {"activeState", unit.active_state},
                     {"subState", unit.sub_state},
                     {"busy", unit.busy},
                     {"error", unit.error},
                     {"drift", unit.drift}});
  }
  return nlohmann::json{{"joined", membership_.joined()},
                        {"installed", reconciler_.installed_units()},
                        {"lease", membership_.lease()},
                        {"units", std::move(units)}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace fleet::agent
