#include "base/glob.h"

#include <optional>
#include <string>

#include "fmt/core.h"

namespace fleet {

namespace {

// One element of a glob: what a single character of the name has to be, or a star.
struct Element {
  size_t length = 0;  // in the glob
  bool star = false;
  bool any = false;
  bool negated = false;
  std::string_view set;  // inside of brackets; empty for a literal
  char literal = 0;
};

// The range or character at set[i], and how far to go on.
struct SetItem {
  unsigned char low = 0;
  unsigned char high = 0;
  size_t length = 0;
};

std::optional<SetItem> ReadSetItem(std::string_view set) {
  const auto read = [&](size_t at) -> std::optional<std::pair<unsigned char, size_t>> {
    if (at >= set.size()) return std::nullopt;
    if (set[at] != '\\') return std::pair{static_cast<unsigned char>(set[at]), size_t{1}};
    if (at + 1 >= set.size()) return std::nullopt;
    return std::pair{static_cast<unsigned char>(set[at + 1]), size_t{2}};
  };
  const auto low = read(0);
  if (!low) return std::nullopt;
  const size_t dash = low->second;
  if (dash + 1 < set.size() && set[dash] == '-') {
    const auto high = read(dash + 1);
    if (!high || high->first < low->first) return std::nullopt;
    return SetItem{low->first, high->first, dash + 1 + high->second};
  }
  return SetItem{low->first, low->first, low->second};
}

// The length of the bracket expression at the front of `glob`, or 0 if it is not closed.
size_t BracketLength(std::string_view glob) {
  size_t at = 1;
  if (at < glob.size() && glob[at] == '^') ++at;
  const size_t first = at;
  for (; at < glob.size(); ++at) {
    if (glob[at] == '\\') {
      ++at;
    } else if (glob[at] == ']' && at > first) {
      return at + 1;
    }
  }
  return 0;
}

// nullopt: the glob is malformed here. REQUIRES: not empty.
std::optional<Element> ReadElement(std::string_view glob) {
  Element element;
  element.length = 1;
  switch (glob[0]) {
    case '*':
      element.star = true;
      return element;
    case '?':
      element.any = true;
      return element;
    case '\\':
      if (glob.size() < 2) return std::nullopt;
      element.literal = glob[1];
      element.length = 2;
      return element;
    case '[': {
      element.length = BracketLength(glob);
      if (element.length == 0) return std::nullopt;
      element.set = glob.substr(1, element.length - 2);
      if (element.set.front() == '^') {
        element.negated = true;
        element.set.remove_prefix(1);
      }
      for (std::string_view rest = element.set; !rest.empty();) {
        const auto item = ReadSetItem(rest);
        if (!item) return std::nullopt;
        rest.remove_prefix(item->length);
      }
      return element;
    }
    default:
      element.literal = glob[0];
      return element;
  }
}

bool Accepts(const Element& element, char character) {
  if (element.any) return true;
  if (element.set.empty()) return element.literal == character;
  const auto c = static_cast<unsigned char>(character);
  bool found = false;
  for (std::string_view rest = element.set; !rest.empty() && !found;) {
    const auto item = ReadSetItem(rest);
    if (!item) return false;
    found = item->low <= c && c <= item->high;
    rest.remove_prefix(item->length);
  }
  return found != element.negated;
}

}  // namespace

absl::Status CheckGlob(std::string_view glob) {
  for (std::string_view rest = glob; !rest.empty();) {
    const auto element = ReadElement(rest);
    if (!element) {
      return absl::InvalidArgumentError(fmt::format(
          "the glob \"{}\" is malformed at \"{}\": close each [, give ranges upwards, and do not "
          "end in a backslash",
          glob, rest));
    }
    rest.remove_prefix(element->length);
  }
  return absl::OkStatus();
}

bool GlobMatches(std::string_view glob, std::string_view name) {
  size_t g = 0;
  size_t n = 0;
  // Where to go on when a later part does not match: after the last star, one character further.
  std::optional<size_t> star;
  size_t star_name = 0;
  while (n < name.size() || g < glob.size()) {
    if (g < glob.size()) {
      const auto element = ReadElement(glob.substr(g));
      if (!element) return false;
      if (element->star) {
        star = ++g;
        star_name = n;
        continue;
      }
      if (n < name.size() && Accepts(*element, name[n])) {
        g += element->length;
        ++n;
        continue;
      }
    }
    if (!star || star_name >= name.size()) return false;
    g = *star;
    n = ++star_name;
  }
  return true;
}

std::string_view GlobLiteralPrefix(std::string_view glob) {
  return glob.substr(0, glob.find_first_of("*?[\\"));
}

bool IsGlob(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

}  // namespace fleet
