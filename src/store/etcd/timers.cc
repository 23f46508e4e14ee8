#include "store/etcd/timers.h"

#include <grpcpp/alarm.h>

#include <memory>
#include <utility>

#include "store/etcd/tag.h"

namespace fleet::store::etcd {

gpr_timespec After(absl::Duration delay) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(absl::ToInt64Nanoseconds(delay), GPR_TIMESPAN));
}

absl::Duration MonotonicNow() {
  const gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
  return absl::Seconds(now.tv_sec) + absl::Nanoseconds(now.tv_nsec);
}

class Timers::Timer final : public Tag {
 public:
  Timer(Timers* timers, Id id, absl::AnyInvocable<void()> task)
      : timers_(timers), id_(id), task_(std::move(task)) {}

  void Start(absl::Duration delay) { alarm_.Set(timers_->queue_, After(delay), this); }
  void Cancel() {
    task_ = nullptr;
    alarm_.Cancel();
  }
  void Done(bool ok) override {
    const std::unique_ptr<Timer> self(this);
    timers_->running_.erase(id_);
    if (ok && task_ != nullptr) task_();
  }

 private:
  Timers* timers_;
  Id id_;
  absl::AnyInvocable<void()> task_;
  grpc::Alarm alarm_;
};

Timers::Id Timers::Add(absl::Duration delay, absl::AnyInvocable<void()> task) {
  const Id id = ++last_id_;
  if (closed_) return id;
  auto timer = std::make_unique<Timer>(this, id, std::move(task));
  timer->Start(delay);
  running_.emplace(id, timer.release());
  return id;
}

void Timers::Cancel(Id id) {
  auto it = running_.find(id);
  if (it != running_.end()) it->second->Cancel();
}

void Timers::Close() {
  closed_ = true;
  for (auto& [id, timer] : running_) timer->Cancel();
}

}  // namespace fleet::store::etcd
