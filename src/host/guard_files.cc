#include "host/guard_files.h"

#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/posix_file.h"

namespace fleet::host {

namespace {

constexpr char kVersion[] = "version=1";
constexpr size_t kLargest = 16U << 20U;

// Calls `set(key, value)`, which says whether the value can be read, for each line.
template <typename Set>
absl::Status ReadLines(std::string_view text, Set set) {
  bool first = true;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    if (std::exchange(first, false)) {
      if (line == kVersion) continue;
      return absl::InvalidArgumentError("it does not begin with version=1");
    }
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos ||
        !set(line.substr(0, equals), std::string(line.substr(equals + 1)))) {
      return absl::InvalidArgumentError("\"" + std::string(line) + "\" cannot be read");
    }
  }
  return first ? absl::InvalidArgumentError("it is empty") : absl::OkStatus();
}

absl::Status AppendUnits(const char* key, const std::set<std::string>& units, std::string& text) {
  for (const std::string& unit : units) {
    if (unit.find('\n') != std::string::npos) {
      return absl::InvalidArgumentError("a unit's name must be one line");
    }
    absl::StrAppend(&text, key, "=", unit, "\n");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> WriteOrder(const WrittenOrder& order) {
  std::string text = absl::StrCat(
      kVersion, "\nid=", order.id, "\ndeadline=", absl::ToUnixNanos(order.order.deadline),
      "\nstop_timeout=", absl::ToInt64Nanoseconds(order.order.stop_timeout), "\n");
  RETURN_IF_ERROR(AppendUnits("unit", order.order.units, text));
  RETURN_IF_ERROR(AppendUnits("noted", order.order.noted, text));
  return text;
}

absl::StatusOr<WrittenOrder> ReadOrder(std::string_view text) {
  WrittenOrder written;
  RETURN_IF_ERROR(ReadLines(text, [&](std::string_view key, std::string value) {
    int64_t nanos = 0;
    if (key == "id") {
      written.id = std::move(value);
    } else if (key == "unit") {
      written.order.units.insert(std::move(value));
    } else if (key == "noted") {
      written.order.noted.insert(std::move(value));
    } else if (key == "deadline" || key == "stop_timeout") {
      if (!absl::SimpleAtoi(value, &nanos)) return false;
      if (key == "deadline") {
        written.order.deadline = absl::FromUnixNanos(nanos);
      } else {
        written.order.stop_timeout = absl::Nanoseconds(nanos);
      }
    }
    return true;
  }));
  if (written.id.empty()) return absl::InvalidArgumentError("it has no id");
  return written;
}

std::string WriteAnswer(const GuardAnswer& answer) {
  std::string text = absl::StrCat(kVersion, "\nid=", answer.id, "\n");
  for (const std::string& unit : answer.stopped) absl::StrAppend(&text, "stopped=", unit, "\n");
  return text;
}

absl::StatusOr<GuardAnswer> ReadAnswer(std::string_view text) {
  GuardAnswer answer;
  RETURN_IF_ERROR(ReadLines(text, [&](std::string_view key, std::string value) {
    if (key == "id") {
      answer.id = std::move(value);
    } else if (key == "stopped") {
      answer.stopped.insert(std::move(value));
    }
    return true;
  }));
  return answer;
}

std::string OrderPath(const std::string& directory) { return directory + "/order"; }
std::string AnswerPath(const std::string& directory) { return directory + "/answer"; }
std::string GatePath(const std::string& directory) { return directory + "/closed"; }

absl::Status ReplaceFile(const std::string& directory, const std::string& path,
                         std::string_view text) {
  ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Write(directory, text));
  return file.Place(path);
}

absl::StatusOr<std::string> ReadGuardFile(const std::string& path) {
  return ReadWholeFile(path, kLargest, Links::kRefuse);
}

}  // namespace fleet::host
