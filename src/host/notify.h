#pragma once

// What fleetd tells the service manager that started it, and the sockets it got from it
// (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)). Without one all of this does nothing.

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace fleet::host {

// READY=1; also ends what NotifyReloading() began.
void NotifyReady(const std::string& status);
// RELOADING=1: the configuration is being read again. To be followed by NotifyReady().
void NotifyReloading();
// STOPPING=1.
void NotifyStopping(const std::string& status);
// The line that `systemctl status` shows.
void NotifyStatus(const std::string& status);
// WATCHDOG=1.
void NotifyWatchdog();

// How often NotifyWatchdog() is due: half of WatchdogSec=. InfiniteDuration if it is not asked for.
absl::Duration WatchdogInterval();

struct PassedSocket {
  int fd = -1;       // close-on-exec; the caller's to close
  std::string name;  // FileDescriptorName= of the socket unit, by default its name
};

// The listening sockets passed by socket activation. A second call returns none.
std::vector<PassedSocket> PassedSockets();

}  // namespace fleet::host
