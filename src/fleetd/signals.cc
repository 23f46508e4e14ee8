#include "fleetd/signals.h"

#include <sys/signalfd.h>
#include <systemd/sd-event.h>

#include <array>
#include <csignal>
#include <utility>
#include <vector>

namespace fleet::fleetd {

struct Signals::Impl {
  Handler handler;
  std::vector<sd_event_source*> sources;

  ~Impl() {
    for (sd_event_source* source : sources) sd_event_source_disable_unref(source);
  }

  static int OnSignal(sd_event_source*, const signalfd_siginfo* info, void* self) {
    static_cast<Impl*>(self)->handler(static_cast<int>(info->ssi_signo));
    return 0;
  }
};

absl::StatusOr<std::unique_ptr<Signals>> Signals::Watch(Loop* loop, Handler handler) {
  constexpr std::array<int, 4> kSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) sigaddset(&set, signal);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return absl::InternalError("signals cannot be blocked");
  }
  auto impl = std::make_unique<Impl>();
  impl->handler = std::move(handler);
  for (const int signal : kSignals) {
    sd_event_source* source = nullptr;
    const int result =
        sd_event_add_signal(loop->event(), &source, signal, &Impl::OnSignal, impl.get());
    if (result < 0) return absl::ErrnoToStatus(-result, "signals cannot be watched");
    impl->sources.push_back(source);
  }
  return std::unique_ptr<Signals>(new Signals(std::move(impl)));
}

Signals::Signals(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Signals::~Signals() = default;

}  // namespace fleet::fleetd
