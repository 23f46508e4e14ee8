#include "scheduler/globs.h"

#include <algorithm>

#include "base/glob.h"

namespace fleet::scheduler {
namespace {

// abseil's string_view is not the standard one here.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Globs::Acquired Globs::Acquire(ScopeId scope, std::string_view text) {
  std::pair key(scope, std::string(text));
  const auto found = by_text_.find(key);
  if (found != by_text_.end()) {
    ++globs_[found->second].acquired;
    return {found->second, false};
  }
  GlobId id = 0;
  if (free_.empty()) {
    id = static_cast<GlobId>(globs_.size());
    globs_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  globs_[id].scope = scope;
  globs_[id].text = key.second;
  globs_[id].acquired = 1;
  by_text_.emplace(std::move(key), id);
  const std::string_view prefix = GlobLiteralPrefix(text);
  auto [with_prefix, added] = by_prefix_.try_emplace(View(prefix));
  if (added) ++prefix_lengths_[prefix.size()];
  with_prefix->second.push_back(id);
  return {id, true};
}

void Globs::Drop(GlobId id) {
  Glob& glob = globs_[id];
  by_text_.erase(std::pair(glob.scope, glob.text));
  const std::string_view prefix = GlobLiteralPrefix(glob.text);
  const auto with_prefix = by_prefix_.find(View(prefix));
  std::erase(with_prefix->second, id);
  if (with_prefix->second.empty()) {
    by_prefix_.erase(with_prefix);
    const auto length = prefix_lengths_.find(prefix.size());
    if (--length->second == 0) prefix_lengths_.erase(length);
  }
  glob = {};
  free_.push_back(id);
}

std::vector<GlobId> Globs::Matching(std::string_view name) const {
  std::vector<GlobId> matching;
  for (const auto& [length, count] : prefix_lengths_) {
    if (length > name.size()) break;
    const auto with_prefix = by_prefix_.find(View(name.substr(0, length)));
    if (with_prefix == by_prefix_.end()) continue;
    for (const GlobId id : with_prefix->second) {
      if (GlobMatches(globs_[id].text, name)) matching.push_back(id);
    }
  }
  std::sort(matching.begin(), matching.end());
  return matching;
}

}  // namespace fleet::scheduler
