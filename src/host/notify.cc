#include "host/notify.h"

#include <systemd/sd-daemon.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include "base/log.h"
#include "fmt/core.h"

namespace fleet::host {
namespace {

void Notify(const std::string& state) {
  const int r = sd_notify(0, state.c_str());
  if (r < 0) log::Warning("cannot notify systemd ({}): error {}", state, -r);
}

// A status is one line of the message.
std::string StatusLine(std::string status) {
  for (char& c : status) {
    if (c == '\n') c = ' ';
  }
  return "STATUS=" + status;
}

}  // namespace

void NotifyReady(const std::string& status) { Notify("READY=1\n" + StatusLine(status)); }

void NotifyReloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t usec = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  Notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", usec));
}

void NotifyStopping(const std::string& status) { Notify("STOPPING=1\n" + StatusLine(status)); }

void NotifyStatus(const std::string& status) { Notify(StatusLine(status)); }

void NotifyWatchdog() { Notify("WATCHDOG=1"); }

absl::Duration WatchdogInterval() {
  uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) return absl::InfiniteDuration();
  return absl::Microseconds(usec) / 2;
}

std::vector<PassedSocket> PassedSockets() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  if (count < 0) log::Error("cannot take the sockets that systemd passed: error {}", -count);
  std::vector<PassedSocket> sockets;
  if (count > 0) sockets.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    sockets.push_back({SD_LISTEN_FDS_START + i, names[i]});
  }
  for (char** name = names; name != nullptr && *name != nullptr; ++name) std::free(*name);
  std::free(names);
  return sockets;
}

}  // namespace fleet::host
