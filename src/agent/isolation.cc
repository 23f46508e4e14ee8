#include "agent/isolation.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "registry/codec.h"

namespace fleet::agent {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);
constexpr char kNoGuard[] =
    "units with OnIsolation=stop need fleet-guard.service, which watches over the machine's own "
    "systemd only";

}  // namespace

Isolation::Isolation(store::Store* store, Executor* executor, host::Guard* guard,
                     std::string record_key, std::string boot_id, absl::Duration stop_timeout,
                     Hooks hooks)
    : store_(store),
      executor_(executor),
      guard_(guard),
      record_key_(std::move(record_key)),
      boot_id_(std::move(boot_id)),
      stop_timeout_(stop_timeout),
      hooks_(std::move(hooks)),
      alive_(std::make_shared<bool>(true)) {}

Isolation::~Isolation() {
  for (const Executor::TimerId timer : {confirm_timer_, deadline_timer_}) {
    if (timer != 0) executor_->Cancel(timer);
  }
}

void Isolation::OnJoined(store::LeaseId lease, absl::Duration ttl) {
  lease_ = lease;
  ttl_ = ttl;
  if (!units_.empty()) Confirm();
}

// The guard keeps the deadline that it has: until then they run, as the cluster expects.
void Isolation::OnLeaseLost() {
  lease_ = 0;
  deadline_ = absl::InfinitePast();
}

void Isolation::SetUnits(const std::set<std::string>& units) {
  if (units == units_) return;
  const bool first = units_.empty();
  units_ = units;
  if (guard_ == nullptr) return Tell({}, kNoGuard);
  if (units_.empty() || executor_->Now() < deadline_) Arm();
  // Without units there were no reads.
  if (first && confirm_timer_ == 0) Confirm();
}

bool Isolation::MayStart(const std::string& unit) const {
  return !units_.contains(unit) || (armed_.contains(unit) && executor_->Now() < armed_deadline_);
}

uint64_t Isolation::lapses() const {
  return earlier_lapses_ + (executor_->Now() < armed_deadline_ ? 0 : 1);
}

void Isolation::ConfirmAfter(absl::Duration delay) {
  if (confirm_timer_ != 0) executor_->Cancel(confirm_timer_);
  confirm_timer_ = executor_->PostAfter(delay, [this] {
    confirm_timer_ = 0;
    Confirm();
  });
}

void Isolation::Confirm() {
  if (guard_ == nullptr || lease_ == 0 || units_.empty() || confirming_) return;
  if (confirm_timer_ != 0) executor_->Cancel(std::exchange(confirm_timer_, 0));
  confirming_ = true;
  const absl::Time sent = executor_->Now();
  store_->Range(
      {{record_key_, ""}, 1, 0}, [this, sent, lease = lease_, alive = std::weak_ptr(alive_)](
                                     const absl::StatusOr<store::RangeResult>& result) {
        if (alive.expired()) return;
        confirming_ = false;
        if (lease_ == 0) return;  // OnJoined() begins anew
        bool ours =
            lease == lease_ && result.ok() && !result->kvs.empty() && result->kvs[0].lease == lease;
        if (ours) {
          // A copy of this machine may hold the same lease.
          const auto record = registry::DecodeMachine(result->kvs[0].value);
          ours = record.ok() && record->boot_id == boot_id_;
        }
        if (ours) {
          OnConfirmed(sent);
          ConfirmAfter(std::max(absl::ZeroDuration(), sent + ttl_ / 3 - executor_->Now()));
        } else {
          ConfirmAfter(std::min(kRetryDelay, ttl_ / 10));
        }
      });
}

void Isolation::OnConfirmed(absl::Time sent) {
  deadline_ = std::max(deadline_, sent + ttl_);
  if (executor_->Now() < deadline_) Arm();
}

void Isolation::Arm() {
  if (std::exchange(arming_, true)) {
    arm_again_ = true;
    return;
  }
  arm_again_ = false;
  // Without units nothing hangs on the deadline.
  const absl::Time deadline = units_.empty() ? executor_->Now() : deadline_;
  host::GuardOrder order{
      .units = units_, .deadline = deadline, .stop_timeout = stop_timeout_, .noted = noted_};
  guard_->Arm(std::move(order), [this, units = units_, deadline, alive = std::weak_ptr(alive_)](
                                    const absl::StatusOr<std::set<std::string>>& stopped) {
    if (alive.expired()) return;
    arming_ = false;
    OnArmed(units, deadline, stopped);
  });
}

void Isolation::OnArmed(const std::set<std::string>& units, absl::Time deadline,
                        const absl::StatusOr<std::set<std::string>>& stopped) {
  if (!stopped.ok()) {
    log::Error("{}", std::string(stopped.status().message()));
    Tell({}, std::string(stopped.status().message()));
  } else {
    noted_ = *stopped;
    earlier_lapses_ = lapses();
    armed_deadline_ = deadline;
    if (!stopped->empty()) {
      hooks_.on_stopped(*stopped);
      // Nothing starts before the guard has taken note: it would take the next stop for this one.
      arm_again_ = true;
    } else if (executor_->Now() < deadline) {
      Tell(units, "");
      if (deadline_timer_ != 0) executor_->Cancel(deadline_timer_);
      deadline_timer_ = executor_->PostAfter(deadline - executor_->Now(), [this] {
        deadline_timer_ = 0;
        log::Error(
            "this machine is cut off from the registry: fleet-guard stops its units with "
            "OnIsolation=stop");
        Tell({}, "");
      });
    }
  }
  if (units_.empty() && deadline_timer_ != 0) executor_->Cancel(std::exchange(deadline_timer_, 0));
  const bool in_time = units_.empty() || executor_->Now() < deadline_;
  if (arm_again_ && in_time) Arm();
}

void Isolation::Tell(std::set<std::string> armed, const std::string& why_not) {
  armed_ = armed;
  hooks_.on_guard(std::move(armed), why_not);
}

}  // namespace fleet::agent
