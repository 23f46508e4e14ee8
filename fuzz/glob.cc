// GlobMatches against a reference that is too simple to be wrong. Input: the glob, a line end, the
// name. That it takes exponential time would show as libFuzzer's time-out.

#include "base/glob.h"

#include <bitset>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/check.h"

namespace fleet::fuzz {
namespace {

// The characters that one element of a glob accepts, or any number of any of them.
struct Element {
  std::bitset<256> accepts;
  bool star = false;
};

size_t Index(char c) { return static_cast<unsigned char>(c); }

// The glob's elements; nullopt if it is malformed.
std::optional<std::vector<Element>> Read(std::string_view glob) {
  std::vector<Element> elements;
  size_t at = 0;
  // One character, perhaps behind a backslash.
  const auto next = [&]() -> std::optional<char> {
    if (at < glob.size() && glob[at] == '\\') ++at;
    if (at >= glob.size()) return std::nullopt;
    return glob[at++];
  };
  while (at < glob.size()) {
    Element& element = elements.emplace_back();
    if (glob[at] == '*' || glob[at] == '?') {
      element.star = glob[at++] == '*';
      element.accepts.set();
      continue;
    }
    if (glob[at] != '[') {
      const auto literal = next();
      if (!literal) return std::nullopt;
      element.accepts.set(Index(*literal));
      continue;
    }
    const bool negated = ++at < glob.size() && glob[at] == '^';
    if (negated) ++at;
    for (bool first = true; first || at >= glob.size() || glob[at] != ']'; first = false) {
      const auto low = next();
      if (!low) return std::nullopt;
      auto high = low;
      if (at + 1 < glob.size() && glob[at] == '-' && glob[at + 1] != ']') {
        ++at;
        high = next();
        if (!high) return std::nullopt;
      }
      if (Index(*high) < Index(*low)) return std::nullopt;
      for (size_t c = Index(*low); c <= Index(*high); ++c) element.accepts.set(c);
    }
    ++at;
    if (negated) element.accepts.flip();
  }
  return elements;
}

// Follows all ways through the glob at once.
bool Matches(const std::vector<Element>& glob, std::string_view name) {
  std::vector<bool> reached(glob.size() + 1);
  reached[0] = true;
  const auto pass_stars = [&] {
    for (size_t i = 0; i < glob.size(); ++i) {
      if (reached[i] && glob[i].star) reached[i + 1] = true;
    }
  };
  pass_stars();
  for (const char c : name) {
    std::vector<bool> next(glob.size() + 1);
    for (size_t i = 0; i < glob.size(); ++i) {
      if (!reached[i] || !glob[i].accepts[Index(c)]) continue;
      next[glob[i].star ? i : i + 1] = true;
    }
    reached = std::move(next);
    pass_stars();
  }
  return reached[glob.size()];
}

void Run(std::string_view glob, std::string_view name) {
  const auto reference = Read(glob);
  Check(CheckGlob(glob).ok() == reference.has_value(), "CheckGlob refuses malformed globs only");
  const bool matches = GlobMatches(glob, name);
  Check(matches == (reference && Matches(*reference, name)), "the glob matches as the reference");
  if (matches) {
    Check(name.starts_with(GlobLiteralPrefix(glob)), "a match begins with the literal prefix");
  }
  if (!IsGlob(glob) && glob.find('\\') == std::string_view::npos) {
    Check(matches == (glob == name), "what is no glob matches itself only");
  }
  if (reference) {
    Check(GlobMatches(std::string(glob) + "*", std::string(name) + "x") || !matches,
          "a star at the end takes what follows");
    Check(GlobMatches("*" + std::string(glob), "x" + std::string(name)) || !matches,
          "a star at the front takes what stands before");
  }
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [glob, name] = fleet::fuzz::SplitAt(fleet::fuzz::Text(data, size), "\n");
  fleet::fuzz::Run(glob, name);
  return 0;
}
