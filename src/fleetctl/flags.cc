#include "fleetctl/flags.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/duration.h"
#include "base/edit_distance.h"
#include "base/status.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

bool IsSwitch(const FlagSpec& spec) { return spec.value.empty(); }

absl::Status CheckedSet(Flags& flags, const FlagSpec& spec, std::string_view value,
                        std::string_view origin) {
  if (!IsSwitch(spec)) {
    flags.Set(spec.name, value);
    return absl::OkStatus();
  }
  const std::optional<bool> on = ParseBool(value);
  if (!on) {
    return UsageError(Cat("\"", value, "\" is not a value for ", origin, ": it is true or false"));
  }
  flags.Set(spec.name, *on ? "true" : "false");
  return absl::OkStatus();
}

absl::Status Unknown(const Flags& flags, std::string_view word) {
  std::vector<std::string_view> names;
  for (const FlagSpec& spec : flags.specs()) {
    if (!spec.help.empty()) names.push_back(spec.name);
  }
  std::string message = Cat("unknown flag ", word);
  std::string_view name = word;
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  const std::string_view nearest = Nearest(name.substr(0, name.find('=')), names);
  if (!nearest.empty()) Append(message, ", did you mean --", nearest, "?");
  return UsageError(message);
}

class Parser {
 public:
  Parser(Parsed& parsed, const std::vector<std::string>& words)
      : parsed_(parsed), flags_(parsed.flags), words_(words) {}

  absl::Status Run(int stop_after) {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (word == "--") break;
      if (word.size() < 2 || word[0] != '-' || IsNegativeNumber(word)) {
        parsed_.arguments.push_back(word);
        if (std::cmp_equal(parsed_.arguments.size(), stop_after)) break;
        continue;
      }
      RETURN_IF_ERROR(word[1] == '-' ? Long(word, std::string_view(word).substr(2)) : Short(word));
    }
    for (; next_ < words_.size(); ++next_) parsed_.arguments.push_back(words_[next_]);
    return absl::OkStatus();
  }

 private:
  // `text` is the word without its dashes.
  absl::Status Long(std::string_view word, std::string_view text) {
    const size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const FlagSpec* spec = name.size() == 1 ? flags_.FindLetter(name[0]) : flags_.Find(name);
    if (spec == nullptr) return Unknown(flags_, word);
    const std::string_view origin = word.substr(0, word.find('='));
    if (equals != std::string_view::npos) return Take(*spec, text.substr(equals + 1), origin);
    if (IsSwitch(*spec)) return Take(*spec, "true", origin);
    if (spec->optional && (next_ == words_.size() || !spec->Takes(words_[next_])))
      return Take(*spec, "true", origin);
    return TakeNext(*spec, origin);
  }

  absl::Status Short(std::string_view word) {
    const std::string_view text = word.substr(1);
    // "-full" as fleet before 1.0 had it, unless it can only be letters.
    if (text.size() > 1 && flags_.Find(text.substr(0, text.find('='))) != nullptr)
      return Long(word, text);
    for (size_t i = 0; i < text.size(); ++i) {
      const FlagSpec* spec = flags_.FindLetter(text[i]);
      if (spec == nullptr) return Unknown(flags_, word);
      const std::string origin = Cat("-", text.substr(i, 1));
      const std::string_view rest = text.substr(i + 1);
      if (rest.starts_with("=")) return Take(*spec, rest.substr(1), origin);
      if (!IsSwitch(*spec))
        return rest.empty() ? TakeNext(*spec, origin) : Take(*spec, rest, origin);
      RETURN_IF_ERROR(Take(*spec, "true", origin));
    }
    return absl::OkStatus();
  }

  // The command says what its numbers may be.
  bool IsNegativeNumber(std::string_view word) const {
    int number = 0;
    return ReadNumber(word, number) && flags_.FindLetter(word[1]) == nullptr;
  }

  absl::Status TakeNext(const FlagSpec& spec, std::string_view origin) {
    if (next_ == words_.size()) return UsageError(Cat(origin, " needs a value (", spec.value, ")"));
    return Take(spec, words_[next_++], origin);
  }

  absl::Status Take(const FlagSpec& spec, std::string_view value, std::string_view origin) {
    if (spec.ignored) parsed_.ignored.push_back(spec.name);
    return CheckedSet(flags_, spec, value, origin);
  }

  Parsed& parsed_;
  Flags& flags_;
  const std::vector<std::string>& words_;
  size_t next_ = 0;
};

std::string Sorted(std::string_view text) {
  std::string sorted(text);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::string WithUnderscores(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

}  // namespace

bool FlagSpec::Takes(std::string_view next) const {
  return !IsSwitch(*this) && (!optional || ParseBool(next).has_value());
}

const FlagSpec* Flags::Find(std::string_view name) const {
  const auto it = std::find_if(specs_.begin(), specs_.end(),
                               [&](const FlagSpec& spec) { return spec.name == name; });
  return it == specs_.end() ? nullptr : &*it;
}

const FlagSpec* Flags::FindLetter(char letter) const {
  const auto it = std::find_if(specs_.begin(), specs_.end(), [&](const FlagSpec& spec) {
    return spec.letter == letter || spec.name == std::string_view(&letter, 1);
  });
  return it == specs_.end() ? nullptr : &*it;
}

bool Flags::On(std::string_view name) const { return Text(name) == "true"; }

std::string Flags::Text(std::string_view name) const {
  const auto it = values_.find(std::string(name));
  if (it != values_.end()) return it->second;
  const FlagSpec* spec = Find(name);
  return spec == nullptr ? "" : std::string(spec->fallback);
}

absl::StatusOr<int> Flags::Number(std::string_view name) const {
  const std::string text = Text(name);
  int number = 0;
  if (!ReadNumber(text, number) || number < 0)
    return UsageError(Cat("--", name, " is a number, not \"", text, "\""));
  return number;
}

absl::StatusOr<absl::Duration> Flags::Duration(std::string_view name) const {
  const auto duration = ParseDuration(Text(name));
  if (!duration.ok()) return UsageError(Cat("--", name, ": ", duration.status().message()));
  return *duration;
}

absl::StatusOr<Parsed> ParseFlags(std::vector<FlagSpec> specs,
                                  const std::vector<std::string>& arguments, int stop_after) {
  Parsed parsed{Flags(std::move(specs)), {}, {}};
  RETURN_IF_ERROR(Parser(parsed, arguments).Run(stop_after));
  return parsed;
}

absl::Status ApplyEnvironment(Flags& flags, const std::map<std::string, std::string>& environment) {
  const std::vector<FlagSpec> specs = flags.specs();
  for (const FlagSpec& spec : specs) {
    if (flags.Given(spec.name) || spec.ignored || !spec.from_environment) continue;
    const std::string key = Cat("FLEETCTL_", ToUpper(WithUnderscores(spec.name)));
    const auto it = environment.find(key);
    if (it == environment.end() || it->second.empty()) continue;
    RETURN_IF_ERROR(CheckedSet(flags, spec, it->second, key));
  }
  return absl::OkStatus();
}

std::optional<bool> ParseBool(std::string_view text) {
  const std::string lower = ToLower(text);
  for (const std::string_view yes : {"true", "yes", "1", "on", "t"})
    if (lower == yes) return true;
  for (const std::string_view no : {"false", "no", "0", "off", "f"})
    if (lower == no) return false;
  return std::nullopt;
}

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& names) {
  std::string_view best;
  // Two letters that changed places are two edits.
  size_t best_distance = word.size() <= 3 ? 2 : std::max<size_t>(word.size() / 3, 2) + 1;
  const std::string letters = Sorted(word);
  for (const std::string_view name : names) {
    const size_t distance = EditDistance(word, name);
    const bool is_nearer = distance < best_distance;
    // Letters that changed places are likelier than others that happen to be there.
    const bool is_likelier = distance == best_distance && !best.empty() && Sorted(name) == letters;
    if (is_nearer || is_likelier) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

}  // namespace fleet::fleetctl
