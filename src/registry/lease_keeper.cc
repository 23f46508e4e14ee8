#include "registry/lease_keeper.h"

#include <algorithm>
#include <utility>

namespace fleet::registry {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);

}  // namespace

LeaseKeeper::LeaseKeeper(store::Store* store, Executor* executor, absl::Duration ttl,
                         store::LeaseId saved, Listener listener)
    : store_(store),
      executor_(executor),
      wanted_ttl_(ttl),
      listener_(std::move(listener)),
      lease_(saved),
      ttl_(ttl),
      last_success_(executor->Now()),
      alive_(std::make_shared<bool>(true)) {}

LeaseKeeper::~LeaseKeeper() {
  if (timer_ != 0) executor_->Cancel(timer_);
}

void LeaseKeeper::Start() {
  last_success_ = executor_->Now();
  if (lease_ == 0) {
    Grant();
  } else {
    Renew();
  }
}

void LeaseKeeper::Schedule(absl::Duration delay, void (LeaseKeeper::*next)()) {
  timer_ = executor_->PostAfter(delay, [this, next] {
    timer_ = 0;
    (this->*next)();
  });
}

void LeaseKeeper::NoteFailure(const absl::Status& why) {
  listener_.on_failure(why);
  if (cut_off_ || executor_->Now() - last_success_ < ttl_) return;
  cut_off_ = true;
  listener_.on_cut_off(why);
}

void LeaseKeeper::Grant() {
  store_->LeaseGrant(wanted_ttl_, [this, alive = std::weak_ptr(alive_)](
                                      absl::StatusOr<store::LeaseGrantResult> granted) {
    if (alive.expired() || released_) return;
    if (!granted.ok()) {
      NoteFailure(granted.status());
      Schedule(kRetryDelay, &LeaseKeeper::Grant);
      return;
    }
    lease_ = granted->id;
    announced_ = false;
    OnRenewed(granted->ttl);
  });
}

void LeaseKeeper::Abandon() {
  if (released_ || lease_ == 0) return;
  lease_ = 0;
  if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
  if (std::exchange(announced_, false)) listener_.on_lost();
  Grant();
}

void LeaseKeeper::Renew() {
  store_->LeaseKeepAlive(lease_, [this, lease = lease_, alive = std::weak_ptr(alive_)](
                                     const absl::StatusOr<absl::Duration>& ttl) {
    if (alive.expired() || released_ || lease != lease_) return;
    OnRenewed(ttl);
  });
}

void LeaseKeeper::OnRenewed(const absl::StatusOr<absl::Duration>& ttl) {
  if (absl::IsNotFound(ttl.status())) {
    lease_ = 0;
    if (std::exchange(announced_, false)) listener_.on_lost();
    Grant();
    return;
  }
  if (!ttl.ok()) {
    NoteFailure(ttl.status());
    Schedule(std::min(kRetryDelay, ttl_ / 10), &LeaseKeeper::Renew);
    return;
  }
  ttl_ = *ttl;
  cut_off_ = false;
  last_success_ = executor_->Now();
  if (!std::exchange(announced_, true)) listener_.on_held(lease_, ttl_);
  Schedule(ttl_ / 3, &LeaseKeeper::Renew);
}

void LeaseKeeper::Release(absl::AnyInvocable<void()> done) {
  released_ = true;
  if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
  if (lease_ == 0) {
    done();
    return;
  }
  store_->LeaseRevoke(lease_, [done = std::move(done)](const absl::Status&) mutable { done(); });
}

}  // namespace fleet::registry
