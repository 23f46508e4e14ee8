#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::engine {

namespace {

// Events are gathered this long, so that one burst is one pass.
constexpr absl::Duration kGather = absl::Milliseconds(2);
constexpr int64_t kEventPage = 10000;
// After the store has refused a write for a reason of its own (full, not reached).
constexpr absl::Duration kBackoff = absl::Milliseconds(500);

// The store has certainly not done it. Of a commit, UNAVAILABLE means just that (store.h).
bool CertainlyNotDone(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return true;
    default:
      return false;
  }
}

}  // namespace

Engine::Engine(store::Store* store, Executor* executor, const registry::Keys& keys,
               EngineOptions options)
    : store_(store),
      executor_(executor),
      keys_(keys),
      options_(std::move(options)),
      reconciler_(options_.settings),
      events_(keys, options_.events_max),
      leadership_(store, executor, keys, options_.machine_id, options_.random_id,
                  options_.settings.features, [this](bool leads) { OnLeadershipChange(leads); }),
      alive_(std::make_shared<bool>(true)) {}

Engine::~Engine() {
  for (const Executor::TimerId timer : {turn_, sweep_}) {
    if (timer != 0) executor_->Cancel(timer);
  }
}

void Engine::OnViewChange(const ViewChange& change) {
  view_ = change.view;
  RenameCluster(change.other_history);
  reconciler_.Apply(change);
  NoteMachineEvents(change);
  leadership_.OnView(change.view, change.other_history);
  if (may_decide_) ScheduleTurn(kGather);
}

void Engine::OnRegistryHealth(const absl::Status& health) {
  is_followed_ = health.ok();
  if (is_followed_ && may_decide_) ScheduleTurn(kGather);
}

void Engine::OnLeadershipChange(bool leads) {
  may_decide_ = false;
  if (options_.metrics != nullptr) options_.metrics->SetLeads(leads);
  if (sweep_ != 0) executor_->Cancel(std::exchange(sweep_, 0));
  if (leads) ReadEventKeys(events_.Range().key, {});
}

void Engine::ReadEventKeys(std::string from_key, std::vector<std::string> keys) {
  store::RangeRequest request{{std::move(from_key), events_.Range().end}, kEventPage, 0};
  store_->Range(std::move(request), [this, keys = std::move(keys), epoch = leadership_.epoch(),
                                     alive = std::weak_ptr(alive_)](
                                        absl::StatusOr<store::RangeResult> page) mutable {
    if (alive.expired() || !leadership_.leads() || leadership_.epoch() != epoch) return;
    if (!page.ok()) {
      log::Warning("the event log cannot be read, trying again: {}", page.status().ToString());
      executor_->PostAfter(absl::Milliseconds(500), [this, alive, epoch] {
        if (alive.expired() || !leadership_.leads() || leadership_.epoch() != epoch) return;
        ReadEventKeys(events_.Range().key, {});
      });
      return;
    }
    for (store::KeyValue& kv : page->kvs) keys.push_back(std::move(kv.key));
    if (page->more && !page->kvs.empty()) {
      std::string next = keys.back() + '\0';
      return ReadEventKeys(std::move(next), std::move(keys));
    }
    events_.Begin(leadership_.epoch(), std::move(keys));
    contents_ = reconcile::ContentCollector();
    reconciler_.BeginLeading(executor_->Now());
    may_decide_ = true;
    NameCluster();
    Turn();
    Sweep();
  });
}

// The first engine that leads names the cluster: another registry in its place would have another
// name, however far it has got.
void Engine::NameCluster() {
  if (view_->cluster_id) return;
  PutClusterId({{store::Compare::Target::kModRevision, keys_.Leader(), leadership_.revision()},
                {store::Compare::Target::kCreateRevision, keys_.Cluster("id"), 0}});
}

// A restored registry is another one with the name it had. Any engine that has seen it names it
// anew, whether it leads or not: a machine that comes back when the registry has passed all
// revisions which that machine knew could not see it otherwise.
void Engine::RenameCluster(bool other_history) {
  is_to_be_renamed_ = is_to_be_renamed_ || other_history;
  if (!view_->cluster_id) return;
  const std::string& id = view_->cluster_id->value.id;
  // Any that it had before, in whichever history: a backup may be restored twice.
  if (!is_to_be_renamed_ || !former_ids_.contains(id)) {
    is_to_be_renamed_ = false;
    former_ids_.insert(id);
  } else if (!is_naming_) {
    PutClusterId({{store::Compare::Target::kModRevision, keys_.Cluster("id"),
                   view_->cluster_id->mod_revision}});
  }
}

void Engine::PutClusterId(std::vector<store::Compare> compares) {
  is_naming_ = true;
  store::Txn txn{.compares = std::move(compares)};
  txn.ops.emplace_back(store::Put{keys_.Cluster("id"),
                                  registry::Encode(ClusterIdRecord{.id = options_.random_id()})});
  store_->Commit(std::move(txn), [this, alive = std::weak_ptr(alive_)](
                                     const absl::StatusOr<store::TxnResult>& result) {
    if (!alive.expired()) is_naming_ = false;
    if (!result.ok()) {
      log::Warning("the cluster has not been named, which is tried again: {}",
                   result.status().ToString());
    }
  });
}

void Engine::Sweep() {
  sweep_ = executor_->PostAfter(options_.sweep_interval, [this] {
    sweep_ = 0;
    if (!leadership_.leads()) return;
    // What is about to be decided has a cause. What waits for its time has not.
    if (may_decide_ && (turn_ == 0 || turn_at_ > executor_->Now() + kGather)) {
      reconciler_.JudgeAll();
      sweeping_ = true;
      Turn();
    }
    if (may_decide_) CollectContents();
    Sweep();
  });
}

// One transaction each: a text that was just submitted again must not keep the others.
void Engine::CollectContents() {
  for (const auto& unused : contents_.Collect(*view_, executor_->Now())) {
    store::Txn txn;
    txn.compares = {
        {store::Compare::Target::kModRevision, keys_.Leader(), leadership_.revision()},
        {store::Compare::Target::kModRevision, keys_.Content(unused.hash), unused.mod_revision}};
    txn.ops.emplace_back(store::Delete{{keys_.Content(unused.hash), ""}});
    store_->Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>& result) {
      if (!result.ok()) {
        log::Warning("an unused text was not removed, the next sweep tries again: {}",
                     result.status().ToString());
      }
    });
  }
}

void Engine::ScheduleTurn(absl::Duration delay) {
  const absl::Time at = executor_->Now() + delay;
  if (turn_ != 0) {
    if (turn_at_ <= at) return;
    executor_->Cancel(turn_);
  }
  turn_at_ = at;
  turn_ = executor_->PostAfter(delay, [this] {
    turn_ = 0;
    Turn();
  });
}

void Engine::Turn() {
  if (!may_decide_ || !is_followed_) return;
  TellMachineEvents();
  const absl::Time begun = executor_->Now();
  Decisions decisions = reconciler_.Decide(begun, executor_->WallNow());
  if (options_.metrics != nullptr) {
    options_.metrics->OnPass(executor_->Now() - begun, reconciler_.units_in_flight(),
                             reconciler_.units_waiting(), reconciler_.units_stuck());
  }
  if (std::exchange(sweeping_, false)) ReportFindings(decisions);
  for (Decisions& group :
       SplitIntoTransactions(keys_, std::move(decisions), EventLog::kOpsPerTxn)) {
    Commit(std::move(group));
  }
  const absl::Time next = reconciler_.NextWakeup();
  if (next != absl::InfiniteFuture()) ScheduleTurn(next - executor_->Now());
}

// Only why a unit waits may have changed without an event: where others are is a part of it.
void Engine::ReportFindings(const Decisions& decisions) {
  for (const reconcile::Decision& decision : decisions) {
    const EventEntry& event = decision.events[0];
    // Nobody tells that the wall clock was set, which deadlines go by.
    if (event.kind == "refused" || event.kind == "drain-expired") continue;
    log::Error(
        "the sweep found something that no event had caused, of {} decisions the first: "
        "{} of {}: {}",
        decisions.size(), event.kind, event.unit, event.reason);
    return;
  }
}

void Engine::Commit(Decisions decisions) {
  store::Txn txn = MakeTransaction(keys_, Fence{leadership_.revision()}, decisions);
  std::vector<EventEntry> entries;
  entries.reserve(decisions.size());
  for (const reconcile::Decision& decision : decisions) {
    for (const EventEntry& event : decision.events) {
      log::Debug("engine: {} {} {}: {}", event.kind, event.unit, event.machine, event.reason);
      entries.push_back(event);
    }
  }
  events_.AddTo(txn, executor_->WallNow(), std::move(entries));
  store_->Commit(std::move(txn), [this, decisions = std::move(decisions),
                                  fence = leadership_.revision(), alive = std::weak_ptr(alive_)](
                                     const absl::StatusOr<store::TxnResult>& result) mutable {
    if (alive.expired()) return;
    Count(decisions, result);
    // What was decided under another fence is void, or forgotten and judged anew:
    // committed again it could place a unit twice (S1).
    if (!may_decide_ || leadership_.revision() != fence) return;
    OnCommitted(std::move(decisions), result);
  });
}

void Engine::Count(const Decisions& decisions, const absl::StatusOr<store::TxnResult>& result) {
  if (options_.metrics == nullptr) return;
  if (result.ok()) {
    options_.metrics->OnAnswered(decisions, result->succeeded ? "committed" : "conflict");
  } else {
    options_.metrics->OnAnswered(decisions,
                                 CertainlyNotDone(result.status()) ? "failed" : "unknown");
  }
}

void Engine::OnCommitted(Decisions decisions, const absl::StatusOr<store::TxnResult>& result) {
  const bool may_split = decisions.size() > 1;
  if (!result.ok() && CertainlyNotDone(result.status())) {
    // A transaction that the store finds wrong is taken apart: the others must not wait for it.
    if (absl::IsInvalidArgument(result.status()) && may_split) {
      CommitInHalves(std::move(decisions));
      return;
    }
    log::Warning("{} decisions were not stored, the first of {}: {}", decisions.size(),
                 decisions[0].units[0], result.status().ToString());
    executor_->PostAfter(kBackoff,
                         [this, decisions = std::move(decisions), alive = std::weak_ptr(alive_)] {
                           if (alive.expired()) return;
                           for (const reconcile::Decision& decision : decisions)
                             reconciler_.OnFailed(decision.id);
                           if (may_decide_) ScheduleTurn(kGather);
                         });
    return;
  }
  if (!result.ok()) {
    // Whether it took effect is not known (S5): void it, then look.
    log::Warning("a decision's fate is unknown: {}", result.status().ToString());
    may_decide_ = false;
    leadership_.VoidInFlight([this] {
      reconciler_.ForgetInFlight();
      may_decide_ = true;
      ScheduleTurn(kGather);
    });
    return;
  }
  if (result->succeeded) {
    for (const reconcile::Decision& decision : decisions) {
      reconciler_.OnCommitted(decision.id, result->revision);
    }
  } else if (may_split) {
    CommitInHalves(std::move(decisions));  // one stale fact must not hold the others up
  } else {
    for (const reconcile::Decision& decision : decisions) {
      reconciler_.OnRejected(decision.id, result->revision);
    }
  }
  ScheduleTurn(kGather);
}

void Engine::CommitInHalves(Decisions decisions) {
  const auto middle = decisions.begin() + static_cast<std::ptrdiff_t>(decisions.size() / 2);
  Commit(Decisions(std::make_move_iterator(middle), std::make_move_iterator(decisions.end())));
  decisions.erase(middle, decisions.end());
  Commit(std::move(decisions));
}

void Engine::Resign(absl::AnyInvocable<void()> done) {
  may_decide_ = false;
  leadership_.Resign(std::move(done));
}

std::string Engine::DebugJson() const {
  return fmt::format(R"({{"leads":{},"epoch":"{}","units_in_flight":{},"units_waiting":{}}})",
                     leadership_.leads(), leadership_.epoch(), reconciler_.units_in_flight(),
                     reconciler_.units_waiting());
}

}  // namespace fleet::engine
