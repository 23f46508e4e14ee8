#pragma once

// host::Systemd over D-Bus: systemd's private socket where allowed (root), the message bus
// otherwise (an unprivileged fleetd with polkit rules), or a user's own manager.

#include <memory>

#include "base/loop.h"
#include "host/host.h"

namespace fleet::host {

struct SystemdOptions {
  bool user = false;         // the user's manager ($XDG_RUNTIME_DIR), not the system's
  bool message_bus = false;  // never the private socket
};

// Connects when the listener is set, or at the first call, whichever is first. While systemd is not
// reached each call fails with UNAVAILABLE, naming what was tried; it goes on trying. On a message
// bus at most 100 jobs are outstanding, further ones wait here.
//
// `loop` outlives the result; the result is destroyed in the loop's thread or when it runs no more,
// and never inside one of its callbacks. Callbacks that were not called by then never are.
std::unique_ptr<Systemd> OpenSystemd(const SystemdOptions& options, Loop* loop);

}  // namespace fleet::host
