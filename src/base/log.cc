#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

#include "base/mute.h"

namespace fleet::log {

namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// systemd sets JOURNAL_STREAM for what it starts with its output in the journal.
spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    if (std::getenv("JOURNAL_STREAM") != nullptr) {
      return std::make_shared<spdlog::logger>("fleet",
                                              std::make_shared<spdlog::sinks::systemd_sink_mt>());
    }
    auto made = std::make_shared<spdlog::logger>("fleet",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    return made;
  }();
  return *logger;
}

}  // namespace

void Mute() { Logger().set_level(spdlog::level::off); }
void SetLevel(Level level) { Logger().set_level(ToSpdlog(level)); }
bool Enabled(Level level) { return Logger().should_log(ToSpdlog(level)); }
void Write(Level level, std::string_view line) { Logger().log(ToSpdlog(level), "{}", line); }

}  // namespace fleet::log
