#include "base/loop.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <mutex>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/duration.h"
#include "base/log.h"

namespace fleet {

namespace {

absl::Time BootTime() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::UnixEpoch() + absl::DurationFromTimespec(now);
}

// A loop cannot do without these calls; they fail only when memory or descriptors have run out, and
// then the daemon is restarted and adopts what runs.
void Must(int result, const char* what) {
  if (result >= 0) return;
  log::Error("event loop: {} failed with error {}", what, -result);
  std::abort();
}

}  // namespace

struct Loop::Impl {
  struct Timer {
    Impl* loop = nullptr;
    TimerId id = 0;
    sd_event_source* source = nullptr;
    Task task;
  };

  explicit Impl(std::string thread_name) : name(std::move(thread_name)) {
    Must(sd_event_new(&event), "sd_event_new");
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    Must(wake_fd, "eventfd");
    Must(sd_event_add_io(event, &wake_source, wake_fd, EPOLLIN, &Impl::OnWake, this),
         "sd_event_add_io");
  }

  ~Impl() {
    for (auto& [id, timer] : timers) sd_event_source_disable_unref(timer->source);
    sd_event_source_disable_unref(wake_source);
    close(wake_fd);
    sd_event_unref(event);
  }

  void RunTask(Task& task) {
    const absl::Time begin = BootTime();
    task();
    const absl::Duration took = BootTime() - begin;
    if (took > turn_limit) {
      log::Warning("the {} loop was busy for {} in one turn", name, DurationText(took));
    }
  }

  static int OnWake(sd_event_source*, int fd, uint32_t, void* self) {
    auto* impl = static_cast<Impl*>(self);
    uint64_t count = 0;
    if (read(fd, &count, sizeof count) < 0) return 0;  // nothing pending
    impl->RunPosted();
    return 0;
  }

  void RunPosted() {
    std::deque<Task> batch;
    {
      const std::lock_guard lock(mutex);
      batch.swap(posted);
    }
    for (Task& task : batch) RunTask(task);
  }

  static int OnTimer(sd_event_source*, uint64_t, void* userdata) {
    auto* timer = static_cast<Timer*>(userdata);
    Impl* impl = timer->loop;
    const auto node = impl->timers.extract(timer->id);
    sd_event_source_disable_unref(timer->source);
    impl->RunTask(timer->task);
    return 0;
  }

  std::string name;
  sd_event* event = nullptr;
  int wake_fd = -1;
  sd_event_source* wake_source = nullptr;
  absl::Duration turn_limit = absl::Milliseconds(50);
  TimerId last_timer = 0;
  absl::flat_hash_map<TimerId, std::unique_ptr<Timer>> timers;
  std::mutex mutex;
  std::deque<Task> posted;  // guarded by mutex
};

Loop::Loop(std::string name) : impl_(std::make_unique<Impl>(std::move(name))) {}
Loop::~Loop() = default;

void Loop::Run() {
  // The process itself keeps the name "fleetd"; only further threads are renamed.
  if (getpid() != gettid()) prctl(PR_SET_NAME, impl_->name.c_str());
  Must(sd_event_loop(impl_->event), "sd_event_loop");
  impl_->RunPosted();
}

void Loop::Stop() {
  Post([this] { sd_event_exit(impl_->event, 0); });
}

void Loop::Post(Task task) {
  bool wake = false;
  {
    const std::lock_guard lock(impl_->mutex);
    wake = impl_->posted.empty();
    impl_->posted.push_back(std::move(task));
  }
  const uint64_t one = 1;
  if (wake && write(impl_->wake_fd, &one, sizeof one) < 0) Must(-errno, "write to eventfd");
}

Executor::TimerId Loop::PostAfter(absl::Duration delay, Task task) {
  auto timer = std::make_unique<Impl::Timer>();
  timer->loop = impl_.get();
  timer->id = ++impl_->last_timer;
  timer->task = std::move(task);
  const auto usec = static_cast<uint64_t>(absl::ToInt64Microseconds(
      BootTime() - absl::UnixEpoch() + std::max(delay, absl::ZeroDuration())));
  constexpr uint64_t kAccuracyUsec = 1000;
  Must(sd_event_add_time(impl_->event, &timer->source, CLOCK_BOOTTIME, usec, kAccuracyUsec,
                         &Impl::OnTimer, timer.get()),
       "sd_event_add_time");
  const TimerId id = timer->id;
  impl_->timers.emplace(id, std::move(timer));
  return id;
}

void Loop::Cancel(TimerId timer) {
  const auto node = impl_->timers.extract(timer);
  if (node) sd_event_source_disable_unref(node.mapped()->source);
}

absl::Time Loop::WallNow() const { return absl::Now(); }
absl::Time Loop::Now() const { return BootTime(); }
sd_event* Loop::event() { return impl_->event; }
void Loop::WarnOfTurnsLongerThan(absl::Duration limit) { impl_->turn_limit = limit; }

}  // namespace fleet
