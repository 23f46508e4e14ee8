#pragma once

// Unit names in systemd's D-Bus object paths: every byte that is not a letter or a digit stands as
// `_` and two hex digits (sd_bus_path_encode(3)). Pure; any thread.

#include <optional>
#include <string>
#include <string_view>

namespace fleet::host {

// "web@1.service" → "/org/freedesktop/systemd1/unit/web_401_2eservice".
std::string UnitPath(std::string_view unit);

// The unit's name, or nothing if it is not the path of a unit (a job's, say).
std::optional<std::string> UnitOfPath(std::string_view path);

}  // namespace fleet::host
