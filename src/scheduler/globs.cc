#include "scheduler/globs.h"

#include <algorithm>

#include "base/glob.h"

namespace fleet::scheduler {
namespace {

// abseil's string_view is not the standard one here.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::optional<GlobId> Globs::Find(std::string_view text) const {
  auto found = by_text_.find(View(text));
  if (found == by_text_.end()) return std::nullopt;
  return found->second;
}

GlobId Globs::Add(std::string_view text) {
  GlobId id = 0;
  if (free_.empty()) {
    id = static_cast<GlobId>(globs_.size());
    globs_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  globs_[id].text = std::string(text);
  by_text_.emplace(globs_[id].text, id);
  const std::string_view prefix = GlobLiteralPrefix(text);
  auto [with_prefix, added] = by_prefix_.try_emplace(View(prefix));
  if (added) ++prefix_lengths_[prefix.size()];
  with_prefix->second.push_back(id);
  undeclared_.insert(id);
  return id;
}

void Globs::Declare(GlobId id) {
  if (globs_[id].declared++ == 0) undeclared_.erase(id);
}

void Globs::Undeclare(GlobId id) {
  if (--globs_[id].declared == 0) undeclared_.insert(id);
}

std::vector<GlobId> Globs::Matching(std::string_view name) const {
  std::vector<GlobId> matching;
  for (const auto& [length, count] : prefix_lengths_) {
    if (length > name.size()) break;
    auto with_prefix = by_prefix_.find(View(name.substr(0, length)));
    if (with_prefix == by_prefix_.end()) continue;
    for (const GlobId id : with_prefix->second) {
      if (GlobMatches(globs_[id].text, name)) matching.push_back(id);
    }
  }
  std::sort(matching.begin(), matching.end());
  return matching;
}

std::vector<GlobId> Globs::Superfluous() const {
  constexpr size_t kMaxKept = 256;
  if (undeclared_.size() <= kMaxKept) return {};
  return {undeclared_.begin(), undeclared_.end()};
}

void Globs::Drop(GlobId id) {
  by_text_.erase(globs_[id].text);
  const std::string_view prefix = GlobLiteralPrefix(globs_[id].text);
  auto with_prefix = by_prefix_.find(View(prefix));
  std::erase(with_prefix->second, id);
  if (with_prefix->second.empty()) {
    by_prefix_.erase(with_prefix);
    auto length = prefix_lengths_.find(prefix.size());
    if (--length->second == 0) prefix_lengths_.erase(length);
  }
  undeclared_.erase(id);
  globs_[id] = {};
  free_.push_back(id);
}

void Globs::Renumber(const std::vector<Slot>& renumbered) {
  for (Glob& glob : globs_) {
    glob.matching = glob.matching.Renumbered(renumbered);
    glob.declaring = glob.declaring.Renumbered(renumbered);
  }
}

}  // namespace fleet::scheduler
