// [X-Fleet] requirements and specifiers. Input: the unit's name, a line end, the unit file.

#include "model/requirements.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "fmt/format.h"
#include "fuzz/check.h"
#include "model/following.h"
#include "model/text.h"

namespace fleet::fuzz {
namespace {

constexpr int64_t kMaxMilliCores = 1'000'000'000;
constexpr int64_t kMaxMemory = int64_t{1} << 50;

template <typename T>
bool IsSortedSet(const std::vector<T>& list) {
  return std::adjacent_find(list.begin(), list.end(), std::greater_equal<>()) == list.end();
}

std::string EscapePercent(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped.append(c == '%' ? 2 : 1, c);
  return escaped;
}

// A word that SplitQuoted reads back, escapes expanded.
std::string QuoteText(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : EscapePercent(text)) {
    quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return quoted + '"';
}

// The same where backslashes are kept as they are.
std::string QuoteGlob(std::string_view glob) {
  std::string quoted = "''";
  for (const char c : EscapePercent(glob)) quoted += c == '"' ? "'\"'" : fmt::format("\"{}\"", c);
  return quoted;
}

// Whether a unit file can say this without specifiers: %I stands for any bytes.
bool IsWritable(const Requirements& requirements) {
  std::vector<std::string> words = requirements.conflicts;
  words.insert(words.end(), requirements.replaces.begin(), requirements.replaces.end());
  for (const auto* list : {&requirements.conflicts_within, &requirements.collocate_within}) {
    for (const Within& within : *list) words.push_back(within.key + "=" + within.name);
  }
  for (const std::string& word : words) {
    if (!std::all_of(word.begin(), word.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      return false;
    }
  }
  std::string texts = requirements.machine_id + requirements.spread_over;
  for (const auto& [key, values] : requirements.metadata) {
    texts += key;
    for (const std::string& value : values) texts += value;
  }
  return texts.find('\0') == std::string::npos;
}

// A unit file that asks for exactly this.
std::string Write(const Requirements& requirements) {
  std::string text = "[X-Fleet]\n";
  const auto add = [&](std::string_view key, std::string_view value) {
    text += fmt::format("{}={}\n", key, value);
  };
  if (!requirements.machine_id.empty()) add("MachineID", QuoteText(requirements.machine_id));
  for (const std::string& unit : requirements.machine_of) add("MachineOf", EscapePercent(unit));
  for (const std::string& glob : requirements.conflicts) add("Conflicts", QuoteGlob(glob));
  for (const std::string& glob : requirements.replaces) add("Replaces", QuoteGlob(glob));
  for (const auto& [key, values] : requirements.metadata) {
    for (const std::string& value : values) add("MachineMetadata", QuoteText(key + "=" + value));
  }
  for (const Within& within : requirements.conflicts_within) {
    add("ConflictsWithin", QuoteGlob(within.key + "=" + within.name));
  }
  for (const Within& within : requirements.collocate_within) {
    add("CollocateWithin", QuoteGlob(within.key + "=" + within.name));
  }
  if (!requirements.spread_over.empty()) add("SpreadOver", QuoteText(requirements.spread_over));
  if (requirements.global) add("Global", "true");
  if (requirements.reserve_milli_cores > 0) {
    add("ReserveCPU", fmt::format("{}.{:03}", requirements.reserve_milli_cores / 1000,
                                  requirements.reserve_milli_cores % 1000));
  }
  if (requirements.reserve_memory > 0) {
    add("ReserveMemory", std::to_string(requirements.reserve_memory));
  }
  if (requirements.weight != 1) add("Weight", std::to_string(requirements.weight));
  if (requirements.priority != 0) add("Priority", std::to_string(requirements.priority));
  return text;
}

// The same text in the spelling of fleet before 0.8.
std::string OldSpelling(const UnitFile& file) {
  std::string text;
  for (const UnitOption& option : file.options()) {
    std::string name = option.name;
    if (name == "Conflicts") name = "X-Conflicts";
    if (name == "MachineID" || name == "MachineOf" || name == "MachineMetadata") {
      name = "X-Condition" + name;
    }
    text += fmt::format("[{}]\n{}={}\n", option.section, name, option.value);
  }
  return text;
}

void CheckValid(const Requirements& requirements, const std::string& text) {
  for (const auto* list :
       {&requirements.machine_of, &requirements.conflicts, &requirements.replaces}) {
    Check(IsSortedSet(*list), "lists are sorted and have no two the same", text);
  }
  std::vector<std::string> globs = requirements.conflicts;
  globs.insert(globs.end(), requirements.replaces.begin(), requirements.replaces.end());
  for (const auto* list : {&requirements.conflicts_within, &requirements.collocate_within}) {
    Check(IsSortedSet(*list), "lists within a key are sorted and have no two the same", text);
    for (const Within& within : *list) {
      Check(!within.key.empty() && !within.name.empty(), "within a key there is a name", text);
      Check(Strip(within.key) == within.key && within.key.find('=') == std::string::npos,
            "keys end at the =", within.key);
    }
  }
  for (const Within& within : requirements.conflicts_within) globs.push_back(within.name);
  for (const std::string& glob : globs) Check(CheckGlob(glob).ok(), "globs are whole", glob);
  for (const Followed& followed : UnitsFollowed(requirements)) {
    const auto name = UnitName::Parse(followed.unit);
    Check(name.ok() && !name->is_template(), "units that can run are followed", followed.unit);
  }
  Check(requirements.spread_over.find_first_of(" \t=") == std::string::npos,
        "SpreadOver= is one key", text);
  Check(requirements.reserve_milli_cores >= 0 &&
            requirements.reserve_milli_cores <= kMaxMilliCores &&
            requirements.reserve_memory >= 0 && requirements.reserve_memory <= kMaxMemory,
        "reservations have limits", text);
  Check(requirements.weight >= 1 && requirements.weight <= 1'000'000, "weights have limits", text);
  for (const auto& [key, values] : requirements.metadata) {
    Check(!key.empty() && !values.empty() && !values.contains(""), "metadata is key=value", text);
    Check(Strip(key) == key && key.find('=') == std::string::npos, "keys end at the =", key);
  }
  const bool excluded =
      (requirements.global &&
       (!requirements.machine_id.empty() || !requirements.machine_of.empty() ||
        !requirements.replaces.empty() || !requirements.conflicts_within.empty() ||
        !requirements.collocate_within.empty() || !requirements.spread_over.empty())) ||
      (!requirements.replaces.empty() && !requirements.conflicts.empty());
  Check(!excluded, "keys that exclude each other are refused", text);
}

void CheckReadsBack(const Requirements& requirements, const UnitName& name) {
  const auto written = UnitFile::Parse(Write(requirements));
  Check(written.ok(), "requirements can be written", Write(requirements));
  const auto read = ParseRequirements(*written, name);
  Check(read.ok() && *read == requirements, "requirements read back",
        read.status().ToString() + "\n" + written->text());
}

void CheckSpecifiers(std::string_view text, const UnitName& name) {
  const auto plain = ExpandSpecifiers(text, name);
  const auto glob = ExpandSpecifiersInGlob(text, name);
  Check(plain.ok() == glob.ok(), "texts and globs have the same specifiers", std::string(text));
  const auto escaped = ExpandSpecifiers(EscapePercent(text), name);
  Check(escaped.ok() && *escaped == text, "%% is a percent sign", std::string(text));
  if (!plain.ok()) {
    Check(text.find('%') != std::string_view::npos, "only specifiers can be wrong",
          std::string(text));
    return;
  }
  if (text.find_first_of("*?[]\\") == std::string_view::npos) {
    Check(GlobMatches(*glob, *plain), "what a specifier stands for matches itself", *glob);
    Check(!GlobMatches(*glob, *plain + "x"), "what a specifier stands for matches nothing else",
          *glob);
  }
}

// The other units are sections of the same file, named as they are.
void CheckCircles(const UnitFile& file, const UnitName& name, const Requirements& requirements) {
  std::map<std::string, std::vector<Followed>> follows = {
      {name.full(), UnitsFollowed(requirements)}};
  const auto others = [&](const std::string& unit) -> std::vector<Followed> {
    Check(!follows.contains(unit), "each unit is asked for once", unit);
    std::vector<Followed>& followed = follows[unit];
    for (const auto& [key, by] : {std::pair("MachineOf", FollowsBy::kMachineOf),
                                  std::pair("CollocateWithin", FollowsBy::kCollocateWithin)}) {
      for (const std::string& value : file.Values(unit, key)) {
        const auto words = SplitQuoted(value);
        if (!words.ok()) continue;
        for (const std::string& word : *words) followed.push_back({word, by});
      }
    }
    return followed;
  };
  const absl::Status status = CheckFollowingEnds(name.full(), UnitsFollowed(requirements), others);
  if (!status.ok()) {
    const std::string message = MessageOf(status);
    Check(message.find(" -> ") != std::string::npos, "a circle is printed", message);
    Check(message.find("MachineOf=") != std::string::npos ||
              message.find("CollocateWithin=") != std::string::npos,
          "the keys of a circle are named", message);
  }
  // The reference takes away units that follow nothing until none does: what is left is a circle.
  bool removed = true;
  while (std::exchange(removed, false)) {
    for (auto it = follows.begin(); it != follows.end();) {
      const bool ends =
          std::none_of(it->second.begin(), it->second.end(),
                       [&](const Followed& other) { return follows.contains(other.unit); });
      it = ends ? follows.erase(it) : std::next(it);
      removed = removed || ends;
    }
  }
  Check(status.ok() == !follows.contains(name.full()), "circles are found",
        std::string(status.message()));
}

void CheckSubmit(const UnitFile& file, const UnitName& name, bool readable) {
  const absl::Status forced = CheckForSubmit(file, name, /*force=*/true);
  Check(forced.ok() == readable, "--force lets pass what can be read", forced.ToString());
  const absl::Status strict = CheckForSubmit(file, name, /*force=*/false);
  Check(!strict.ok() || readable, "a submit takes what can be read only");
  for (const absl::Status& status : {forced, strict}) {
    Check(status.ok() || (absl::IsInvalidArgument(status) &&
                          MessageOf(status).starts_with(name.full() + ": ")),
          "a refusal names the unit", status.ToString());
    Check(MessageOf(status).find('\n') == std::string::npos, "a refusal is one line",
          status.ToString());
  }
}

void CheckName(const UnitName& name) {
  const std::string full = name.full();
  Check(fmt::format("{}.{}", name.stem(), name.suffix()) == full, "stem and suffix are the name",
        full);
  Check(!name.is_instance() || fmt::format("{}@{}", name.prefix(), name.instance()) == name.stem(),
        "prefix and instance are the stem", full);
  Check(!(name.is_instance() && name.is_template()), "a template is no instance", full);
  Check(!name.is_template() || name.TemplateName() == full, "a template is its own", full);
  Check(WithDefaultSuffix(full) == full, "a name gets no second suffix", full);
  if (name.is_instance()) {
    const auto of = UnitName::Parse(name.TemplateName());
    Check(!of.ok() || (of->is_template() && of->type() == name.type()),
          "the template of an instance is one", full);
  }
}

void Run(std::string_view name_text, std::string text) {
  const auto name = UnitName::Parse(name_text);
  if (!name.ok()) return;
  CheckName(*name);
  const auto file = UnitFile::Parse(std::move(text));
  if (!file.ok()) return;
  for (const UnitOption& option : file->options()) CheckSpecifiers(option.value, *name);

  const auto requirements = ParseRequirements(*file, *name);
  CheckSubmit(*file, *name, requirements.ok());
  const auto old = UnitFile::Parse(OldSpelling(*file));
  if (old.ok()) {
    const auto read = ParseRequirements(*old, *name);
    Check(read.ok() == requirements.ok() && (!read.ok() || *read == *requirements),
          "the old spellings mean the same", old->text());
  }
  if (!requirements.ok()) return;
  CheckValid(*requirements, file->text());
  if (IsWritable(*requirements)) CheckReadsBack(*requirements, *name);
  if (!name->is_template()) CheckCircles(*file, *name, *requirements);
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [name, text] = fleet::fuzz::SplitAt(fleet::fuzz::Text(data, size), "\n");
  fleet::fuzz::Run(name, std::string(text));
  return 0;
}
