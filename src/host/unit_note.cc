#include "host/unit_note.h"

#include <charconv>
#include <optional>

#include "absl/status/status.h"
#include "fmt/core.h"

namespace fleet::host {
namespace {

constexpr int kVersion = 1;
// Notes are filled up with empty lines to a multiple of this: whatever changes in one then fits in
// its place, on a disk that is full.
constexpr size_t kBlock = 512;

bool IsOneLine(std::string_view value) {
  return value.find('\n') == std::string_view::npos && value.find('\0') == std::string_view::npos;
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> ParseYesOrNo(std::string_view text) {
  if (text == "yes") return true;
  if (text == "no") return false;
  return std::nullopt;
}

template <typename T>
bool Assign(T& field, const std::optional<T>& value) {
  if (value) field = *value;
  return value.has_value();
}

// False if the value does not fit the key.
bool SetField(UnitNote& note, std::string_view key, std::string_view value) {
  if (key == "uid") {
    note.uid = value;
  } else if (key == "content_hash") {
    note.content_hash = value;
  } else if (key == "generation") {
    return Assign(note.generation, ParseNumber(value));
  } else if (key == "restarts") {
    return Assign(note.restarts, ParseNumber(value));
  } else if (key == "starts") {
    return Assign(note.starts, ParseNumber(value));
  } else if (key == "starting") {
    return Assign(note.starting, ParseYesOrNo(value));
  } else if (key == "started") {
    return Assign(note.started, ParseYesOrNo(value));
  } else if (key == "enabling") {
    return Assign(note.enabling, ParseYesOrNo(value));
  } else if (key == "enabled") {
    return Assign(note.enabled, ParseYesOrNo(value));
  } else if (key == "version") {
    return ParseNumber(value).has_value();
  }
  return true;
}

const char* YesOrNo(bool value) { return value ? "yes" : "no"; }

}  // namespace

absl::StatusOr<std::string> WriteUnitNote(const UnitNote& note) {
  if (!IsOneLine(note.uid) || !IsOneLine(note.content_hash)) {
    return absl::InvalidArgumentError("a unit's uid and hash must be one line each");
  }
  std::string text = fmt::format(
      "version={}\nuid={}\ngeneration={}\ncontent_hash={}\nstarting={}\nstarted={}\nenabling={}\n"
      "enabled={}\nrestarts={}\nstarts={}\n",
      kVersion, note.uid, note.generation, note.content_hash, YesOrNo(note.starting),
      YesOrNo(note.started), YesOrNo(note.enabling), YesOrNo(note.enabled), note.restarts,
      note.starts);
  text.resize((text.size() + kBlock - 1) / kBlock * kBlock, '\n');
  return text;
}

absl::StatusOr<UnitNote> ReadUnitNote(std::string_view text) {
  UnitNote note;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view entry = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (entry.empty()) continue;
    const size_t equals = entry.find('=');
    const std::string_view key = entry.substr(0, equals);
    if (line == 1 && key != "version") {
      return absl::InvalidArgumentError("line 1: not a note of fleet, which begins with version=");
    }
    if (equals == std::string_view::npos || !SetField(note, key, entry.substr(equals + 1))) {
      return absl::InvalidArgumentError(fmt::format("line {}: \"{}\" cannot be read", line, entry));
    }
  }
  if (note.uid.empty()) return absl::InvalidArgumentError("it has no uid");
  return note;
}

}  // namespace fleet::host
