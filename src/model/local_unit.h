#pragma once

// Units as they are on one machine: what systemd says of them, what fleetd has installed. The
// values that host/ produces and reconcile/ decides on.

#include <cstdint>
#include <string>

namespace fleet::host {

// A unit as systemd reports it (org.freedesktop.systemd1(5)).
struct UnitStatus {
  std::string name;
  std::string load_state;    // "loaded", "not-found", "bad-setting", "error", "masked"
  std::string active_state;  // "active", "inactive", "failed", "activating", …
  std::string sub_state;
  bool operator==(const UnitStatus&) const = default;
};

// What the agent remembers of a unit beside its text.
struct UnitNote {
  std::string uid;
  int64_t generation = 0;
  std::string content_hash;
  bool starting = false;  // systemd is about to be asked to start it
  bool started = false;   // this generation has been started (and need not be again)
  bool enabling = false;  // systemd is about to be asked to make its [Install] links
  bool enabled = false;   // they were made
  int64_t restarts = 0;
  int64_t starts = 0;
  bool operator==(const UnitNote&) const = default;
};

struct InstalledUnit {
  std::string name;
  UnitNote note;
  std::string text;
  bool operator==(const InstalledUnit&) const = default;
};

}  // namespace fleet::host
