#pragma once

// The table of fleetd's keys: the single source for reading them, for --check-config and for the
// manual. Constant; any thread.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "fleetd/config.h"

namespace fleet::fleetd {

struct ConfigKey {
  absl::string_view name;
  std::string type;  // for people: "duration, at least 2s"
  absl::string_view doc;
  // Sets the field from a value as the file has it, or says why it cannot ("is not a number").
  std::function<absl::Status(Config&, absl::string_view value)> set;
  std::function<void(Config&)> reset;             // puts the field back to its default
  std::function<std::string(const Config&)> get;  // the field's value as the file would have it
  std::string default_text;
  bool secret = false;      // its value is never shown
  bool ignored = false;     // accepted for fleet 1.0's sake, with a notice
  bool reloadable = false;  // SIGHUP changes it without a restart
};

// In the order in which they are shown.
const std::vector<ConfigKey>& ConfigKeys();

// nullptr if there is no such key.
const ConfigKey* FindConfigKey(absl::string_view name);

// The known key with the fewest typing mistakes from `name`; empty if none is near.
absl::string_view NearestConfigKey(absl::string_view name);

}  // namespace fleet::fleetd
