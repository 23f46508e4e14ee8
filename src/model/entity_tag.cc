#include "model/entity_tag.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/ids.h"

namespace fleet {
namespace {

constexpr size_t kTagSize = 16;

// Each part with its length, so that no two lists of parts become one text.
std::string HashOf(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) absl::StrAppend(&text, part.size(), ":", part);
  return Sha256Hex(text).substr(0, kTagSize);
}

bool IsAmong(const std::vector<std::string>& tags, const std::optional<std::string>& tag) {
  return tag && std::any_of(tags.begin(), tags.end(), [&](const std::string& each) {
           return each == *tag || each == Precondition::kAny;
         });
}

}  // namespace

std::string TagOf(const UnitRecord& record) {
  return HashOf({record.uid, std::string(ToString(record.desired)), record.content_hash,
                 record.replicas ? absl::StrCat(*record.replicas) : ""});
}

std::string TagOf(const MachineSettings& settings) {
  std::vector<std::string> parts = {settings.cordoned ? "cordoned" : "",
                                    settings.drained ? "drained" : "",
                                    settings.drain_forces ? "forces" : "",
                                    settings.drain_expired ? "expired" : "",
                                    settings.lock_granted ? "granted" : "",
                                    settings.lock_group,
                                    absl::FormatTime(settings.drain_deadline, absl::UTCTimeZone())};
  for (const auto& [key, value] : settings.set_metadata) {
    parts.push_back(key);
    parts.push_back(value);
  }
  parts.emplace_back();  // no key is empty
  parts.insert(parts.end(), settings.removed_metadata.begin(), settings.removed_metadata.end());
  return HashOf(parts);
}

std::string TagOf(const RolloutRecord& rollout) {
  return HashOf({rollout.uid, rollout.content_hash, std::string(ToString(rollout.state))});
}

bool Precondition::Holds(const std::optional<std::string>& tag) const {
  return (!match || IsAmong(*match, tag)) && (!none_match || !IsAmong(*none_match, tag));
}

}  // namespace fleet
