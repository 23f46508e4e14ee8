#pragma once

// Logging: to the journal when systemd started the process, to stderr otherwise (with the same
// priorities). One line says what was tried, on what, and why it failed.

#include <string_view>
#include <utility>

#include "fmt/core.h"

namespace fleet::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. Any thread. Default: kInfo.
void SetLevel(Level level);
bool Enabled(Level level);
void Write(Level level, std::string_view line);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug))
    Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fleet::log
