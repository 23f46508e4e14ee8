#include "engine/leadership.h"

#include <utility>

#include "base/log.h"
#include "fmt/core.h"
#include "model/features.h"
#include "registry/codec.h"

namespace fleet::engine {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);
// An engine that lacks a feature which is enabled would take some records for something else than
// they are. It leads only if nobody else has wanted to for so long: lost machines' units wait
// meanwhile.
constexpr absl::Duration kStandBack = absl::Seconds(10);

}  // namespace

Leadership::Leadership(store::Store* store, Executor* executor, registry::Keys keys,
                       std::string machine_id, std::function<std::string()> random_id,
                       std::vector<std::string> features,
                       absl::AnyInvocable<void(bool leads)> on_change)
    : store_(store),
      executor_(executor),
      keys_(std::move(keys)),
      machine_id_(std::move(machine_id)),
      random_id_(std::move(random_id)),
      features_(std::move(features)),
      on_change_(std::move(on_change)),
      alive_(std::make_shared<bool>(true)) {}

void Leadership::OnLease(store::LeaseId lease) {
  lease_ = lease;
  Campaign();
}

void Leadership::OnLeaseLost() {
  lease_ = 0;
  StepDown("its lease has ended");
}

void Leadership::OnView(const ClusterViewPtr& view, bool other_history) {
  const bool is_another = other_history || (view_ != nullptr && view->revision < view_->revision);
  view_ = view;
  if (is_another) StepDown("the registry was restored or replaced");
  Evaluate();
}

// Nothing is concluded while a write is on its way: its event may be in the view already.
void Leadership::Evaluate() {
  if (busy_ || resigned_ || view_ == nullptr) return;
  if (revision_ != 0 && view_->revision >= revision_ &&
      (!view_->leader || view_->leader->mod_revision != revision_ || UnreadableRevision() != 0)) {
    StepDown("another engine has taken the lead");
  }
  CheckReached();
  Campaign();
}

void Leadership::Campaign() {
  if (busy_ || resigned_ || lease_ == 0 || revision_ != 0 || view_ == nullptr) return;
  // A record of this machine is from before a restart of fleetd; nobody else's is touched.
  const int64_t unreadable = UnreadableRevision();
  if (unreadable == 0 && view_->leader && view_->leader->value.machine != machine_id_) {
    vacant_since_ = absl::InfiniteFuture();
    return;
  }
  if (StandsBack()) return;
  // Epochs sort by the time they began, so that events do too.
  epoch_ = fmt::format("{:016x}-{}", view_->revision, random_id_().substr(0, 8));
  if (unreadable != 0) {
    Put(unreadable);
  } else {
    Put(view_->leader ? view_->leader->mod_revision : 0);
  }
}

bool Leadership::StandsBack() {
  if (!view_->features) return false;
  const std::string lacking = UnknownFeature(view_->features->value.enabled, features_);
  if (lacking.empty()) return false;
  const absl::Time now = executor_->Now();
  if (vacant_since_ == absl::InfiniteFuture()) {
    vacant_since_ = now;
    log::Warning(
        "this engine does not know the feature {}, which is enabled: it leads only if no other one "
        "does within {}",
        lacking, absl::FormatDuration(kStandBack));
    executor_->PostAfter(kStandBack, [this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) Evaluate();
    });
  }
  const bool stands_back = now < vacant_since_ + kStandBack;
  // From before a crash: nobody else could lead as long as it is there.
  if (stands_back && view_->leader && view_->leader->value.machine == machine_id_) {
    busy_ = true;
    DeleteRecord(view_->leader->mod_revision, [this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      executor_->PostAfter(kRetryDelay, [this, alive] {
        if (alive.expired()) return;
        busy_ = false;
        if (resigned_) return FinishResigning();
        Evaluate();
      });
    });
  }
  return stands_back;
}

// Of a record that cannot be read: nobody leads by it, and it may hang on no lease, so it is
// replaced. The fence keeps whoever wrote it from committing anything. 0: it can be read.
int64_t Leadership::UnreadableRevision() const {
  if (view_->unreadable.empty()) return 0;
  const int64_t* revision = view_->unreadable.Find("leader");
  return revision == nullptr ? 0 : *revision;
}

void Leadership::Put(int64_t expected_revision) {
  busy_ = true;
  store::Txn txn;
  txn.compares.push_back({store::Compare::Target::kModRevision, keys_.Leader(), expected_revision});
  txn.ops.emplace_back(
      store::Put{keys_.Leader(),
                 registry::Encode(LeaderRecord{.machine = machine_id_, .epoch = epoch_}), lease_});
  store_->Commit(std::move(txn), [this, expected_revision, alive = std::weak_ptr(alive_)](
                                     absl::StatusOr<store::TxnResult> result) {
    if (alive.expired()) return;
    busy_ = false;
    if (resigned_) {
      if (result.ok() && result->succeeded) revision_ = result->revision;
      FinishResigning();
      return;
    }
    if (result.ok() && result->succeeded) {
      revision_ = result->revision;
      Evaluate();
      return;
    }
    if (result.ok()) {
      // Somebody else's record, or our own by a write whose answer was lost: the view tells, once
      // it has got there.
      StepDown("another engine has taken the lead");
      if (view_->revision >= result->revision) Evaluate();
      return;
    }
    executor_->PostAfter(kRetryDelay, [this, expected_revision, alive] {
      if (alive.expired() || busy_ || lease_ == 0) return;
      if (revision_ != 0 && revision_ == expected_revision) {
        Put(expected_revision);
      } else {
        Evaluate();
      }
    });
  });
}

void Leadership::CheckReached() {
  if (revision_ == 0 || busy_ || view_ == nullptr || view_->revision < revision_) return;
  // A rewrite that has failed voids nothing: the next one has to succeed.
  if (on_voided_ && revision_ != voided_revision_) std::exchange(on_voided_, nullptr)();
  if (std::exchange(leads_, true)) return;
  log::Info("this engine leads, epoch {}", epoch_);
  on_change_(true);
}

void Leadership::StepDown(const char* why) {
  on_voided_ = nullptr;
  revision_ = 0;
  vacant_since_ = absl::InfiniteFuture();
  if (!std::exchange(leads_, false)) return;
  log::Info("this engine no longer leads: {}", why);
  on_change_(false);
}

void Leadership::VoidInFlight(absl::AnyInvocable<void()> done) {
  on_voided_ = std::move(done);
  voided_revision_ = revision_;
  if (!busy_) Put(revision_);
}

void Leadership::Resign(absl::AnyInvocable<void()> done) {
  resigned_ = true;
  on_voided_ = nullptr;
  on_resigned_ = std::move(done);
  if (std::exchange(leads_, false)) on_change_(false);
  FinishResigning();
}

// Once no write of ours is on its way any more.
void Leadership::FinishResigning() {
  if (busy_ || !on_resigned_) return;
  auto done = std::exchange(on_resigned_, nullptr);
  const int64_t revision = std::exchange(revision_, 0);
  if (revision == 0) {
    done();
    return;
  }
  DeleteRecord(revision, std::move(done));
}

void Leadership::DeleteRecord(int64_t revision, absl::AnyInvocable<void()> done) {
  store::Txn txn;
  txn.compares.push_back({store::Compare::Target::kModRevision, keys_.Leader(), revision});
  txn.ops.emplace_back(store::Delete{{keys_.Leader(), ""}});
  store_->Commit(std::move(txn), [done = std::move(done)](
                                     const absl::StatusOr<store::TxnResult>&) mutable { done(); });
}

}  // namespace fleet::engine
