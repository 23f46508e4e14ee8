#include "guard/guard.h"

#include <sys/inotify.h>
#include <systemd/sd-event.h>

#include <utility>

#include "absl/strings/str_join.h"
#include "base/log.h"
#include "host/guard_files.h"
#include "host/posix_file.h"

namespace fleet::guard {

namespace {

host::GuardAnswer FormerAnswer(const std::string& directory) {
  const auto text = host::ReadGuardFile(host::AnswerPath(directory));
  auto answer = text.ok() ? host::ReadAnswer(*text) : text.status();
  return answer.ok() ? *std::move(answer) : host::GuardAnswer{};
}

}  // namespace

Guard::Guard(std::string directory, Loop* loop)
    : directory_(std::move(directory)),
      loop_(loop),
      units_(loop),
      watch_(FormerAnswer(directory_)) {}

Guard::~Guard() { sd_event_source_disable_unref(changes_); }

absl::Status Guard::Start() {
  const auto on_change = [](sd_event_source*, const inotify_event* event, void* self) {
    if ((event->mask & IN_Q_OVERFLOW) != 0 ||
        (event->len > 0 && std::string(event->name) == "order")) {
      static_cast<Guard*>(self)->ReadOrder();
    }
    return 0;
  };
  const int r = sd_event_add_inotify(loop_->event(), &changes_, directory_.c_str(), IN_MOVED_TO,
                                     on_change, this);
  if (r < 0) return absl::ErrnoToStatus(-r, "cannot watch " + directory_);
  ReadOrder();
  return absl::OkStatus();
}

void Guard::ReadOrder() {
  const auto text = host::ReadGuardFile(host::OrderPath(directory_));
  if (absl::IsNotFound(text.status())) return;
  const auto order = text.ok() ? host::ReadOrder(*text) : text.status();
  if (!order.ok()) {
    // The one before stays in force: nobody has confirmed a later deadline.
    log::Error("the order cannot be read: {}", std::string(order.status().message()));
    return;
  }
  Do(watch_.OnOrder(*order, loop_->Now()));
}

void Guard::Do(const Watch::Actions& actions) {
  if (actions.close_gate) SetGate(*actions.close_gate);
  if (actions.look) {
    units_.FindRunning(watch_.units(), [this](const std::set<std::string>& running) {
      Do(watch_.OnRunning(running, loop_->Now()));
    });
  }
  if (!actions.stop.empty()) {
    log::Error("this machine is cut off from the registry, so these are stopped: {}",
               absl::StrJoin(actions.stop, ", "));
  }
  for (const std::string& unit : actions.stop) units_.Stop(unit);
  for (const std::string& unit : actions.kill) units_.Kill(unit);
  if (actions.answer) {
    const absl::Status written = host::ReplaceFile(directory_, host::AnswerPath(directory_),
                                                   host::WriteAnswer(watch_.answer()));
    if (!written.ok()) log::Error("{}", std::string(written.message()));
  }
  Schedule();
}

void Guard::SetGate(bool closed) {
  const std::string path = host::GatePath(directory_);
  const absl::Status status =
      closed ? host::ReplaceFile(directory_, path, "") : host::RemoveFile(path);
  if (!status.ok()) log::Error("{}", std::string(status.message()));
}

void Guard::Schedule() {
  if (timer_ != 0) loop_->Cancel(std::exchange(timer_, 0));
  const absl::Time next = watch_.NextWakeup();
  if (next == absl::InfiniteFuture()) return;
  timer_ = loop_->PostAfter(next - loop_->Now(), [this] {
    timer_ = 0;
    Do(watch_.OnTime(loop_->Now()));
  });
}

}  // namespace fleet::guard
