#include "fleetctl/log_lines.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "client/text.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

constexpr std::array<std::string_view, 6> kColours = {"36", "33", "32", "35", "34", "96"};
constexpr int64_t kError = 3;
constexpr int64_t kWarning = 4;

std::string LabelOf(const std::string& unit, const std::string& machine_id) {
  return Cat(unit, "/", machine_id.substr(0, 8));
}

// A message must not move the cursor, or change what comes after it.
std::string Harmless(std::string_view line) {
  std::string text(line);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0 && c != '\t'; },
      ' ');
  return text;
}

std::string Coloured(std::string_view text, std::string_view colour) {
  return Cat("\033[", colour, "m", text, "\033[0m");
}

}  // namespace

void LogLines::Expect(const std::string& unit, const std::string& machine_id) {
  const std::string label = LabelOf(unit, machine_id);
  width_ = std::max(width_, label.size());
  colours_.try_emplace(label, colours_.size());
}

std::string LogLines::Render(const client::JournalEntry& entry) {
  if (format_ == "json") return entry.json + "\n";
  if (format_ == "yaml") return "---\n" + RenderEntities({entry.json}, format_, /*as_list=*/false);
  std::string before;
  const bool is_text = format_ != "cat";
  if (is_text) {
    Expect(entry.unit, entry.machine_id);
    const std::string label = LabelOf(entry.unit, entry.machine_id);
    std::string padded = label + std::string(width_ - label.size(), ' ') + " |";
    if (colour_) padded = Coloured(padded, kColours[colours_[label] % kColours.size()]);
    // To the second: 2026-01-02T03:04:05
    constexpr size_t kToTheSecond = 19;
    Append(before, padded, " ", entry.time.substr(0, kToTheSecond), "Z ");
    if (!entry.identifier.empty()) Append(before, Harmless(entry.identifier), ": ");
  }
  std::string text;
  std::string_view message = entry.message;
  do {
    const size_t end = std::min(message.find('\n'), message.size());
    std::string line = Harmless(message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
    if (colour_ && is_text && entry.priority <= kWarning)
      line = Coloured(line, entry.priority <= kError ? "31" : "33");
    Append(text, before, line, "\n");
  } while (!message.empty());
  return text;
}

}  // namespace fleet::fleetctl
