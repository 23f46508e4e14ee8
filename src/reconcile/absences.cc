#include "reconcile/absences.h"

#include <algorithm>
#include <utility>

namespace fleet::reconcile {

namespace {

// Clocks of two machines may differ in their rates: the machine's deadline has passed for sure.
constexpr double kClockMargin = 1.03;
// What makes a machine unsteady.
constexpr size_t kOften = 3;
constexpr absl::Duration kWithin = absl::Minutes(10);
constexpr absl::Duration kSteadyAfter = absl::Minutes(5);

}  // namespace

bool Absences::Note(const std::string& machine, const MachineRecord* record) {
  if (record == nullptr) {
    const auto it = seen_.find(machine);
    if (it == seen_.end() || !it->second.is_there) return false;
    it->second.is_there = false;
    it->second.is_missing = true;
    const bool is_noted = it->second.since == absl::InfiniteFuture();  // already, and not begun
    it->second.since = absl::InfiniteFuture();
    if (!is_noted) beginning_.push_back(machine);
    return true;
  }
  const auto [it, is_new] = seen_.try_emplace(machine);
  Seen& seen = it->second;
  seen.is_known = true;
  seen.is_leaving = record->leaving;
  seen.ttl = absl::Milliseconds(record->ttl_millis);
  if (std::exchange(seen.is_there, true)) return false;
  if (is_new || seen.since != absl::InfiniteFuture()) beginning_.push_back(machine);
  seen.since = absl::InfiniteFuture();
  return true;
}

void Absences::BeginLeading(absl::Time now, const std::set<std::string>& with_units) {
  leading_since_ = now;
  beginning_.clear();
  often_lost_.clear();
  for (auto& [machine, seen] : seen_) {
    seen.losses.clear();
    seen.since = now;
    if (!seen.is_there) seen.is_missing = with_units.contains(machine);
  }
  for (const std::string& machine : with_units) {
    seen_.try_emplace(machine, Seen{.is_known = false, .is_missing = true, .since = now});
  }
}

void Absences::Advance(absl::Time now) {
  for (const std::string& machine : beginning_) {
    const auto it = seen_.find(machine);
    if (it == seen_.end()) continue;
    Seen& seen = it->second;
    seen.since = now;
    if (seen.is_there || seen.is_leaving) continue;
    seen.losses.push_back(now);
    if (seen.losses.size() > kOften) seen.losses.pop_front();
    if (seen.losses.size() == kOften) often_lost_.insert(machine);
  }
  beginning_.clear();
}

absl::Time Absences::Since(const std::string& machine) const {
  const auto it = seen_.find(machine);
  return it == seen_.end() ? leading_since_ : it->second.since;
}

absl::Time Absences::LostAt(const std::string& machine) const {
  const auto it = seen_.find(machine);
  if (it == seen_.end()) return leading_since_ + settings_.ttl;
  if (!it->second.is_known) return it->second.since + settings_.ttl;
  // One that left has said so: there is nothing to wait for.
  return it->second.is_leaving ? it->second.since : it->second.since + settings_.loss_grace;
}

absl::Time Absences::MustHaveStoppedAt(const std::string& machine) const {
  const auto it = seen_.find(machine);
  const absl::Duration ttl = LongestTtl(it == seen_.end() ? nullptr : &it->second);
  return std::max(LostAt(machine),
                  Since(machine) + kClockMargin * (ttl + settings_.isolation_stop_timeout));
}

// Of one that was never seen nobody knows: the longest that any has is the best guess.
absl::Duration Absences::LongestTtl(const Seen* seen) const {
  absl::Duration longest = settings_.ttl;
  if (seen != nullptr && seen->ttl > absl::ZeroDuration()) return std::max(longest, seen->ttl);
  for (const auto& [machine, other] : seen_) longest = std::max(longest, other.ttl);
  return longest;
}

bool Absences::HasLeft(const std::string& machine) const {
  const auto it = seen_.find(machine);
  return it != seen_.end() && !it->second.is_there && it->second.is_leaving;
}

std::vector<std::string> Absences::MissingSince(absl::Time time) const {
  std::vector<std::string> missing;
  for (const auto& [machine, seen] : seen_) {
    const bool is_missing = !seen.is_there && seen.is_missing && !seen.is_leaving;
    if (is_missing && seen.since >= time) missing.push_back(machine);
  }
  std::sort(missing.begin(), missing.end());
  return missing;
}

// In the past for one that has not been lost often.
absl::Time Absences::SteadyAt(const Seen& seen) const {
  const bool is_often_lost =
      seen.losses.size() == kOften && seen.losses.back() - seen.losses.front() <= kWithin;
  return is_often_lost ? seen.since + kSteadyAfter : absl::InfinitePast();
}

std::vector<std::string> Absences::Unsteady(absl::Time now) const {
  std::vector<std::string> unsteady;
  for (const std::string& machine : often_lost_) {
    const auto it = seen_.find(machine);
    if (it == seen_.end() || !it->second.is_there) continue;
    if (SteadyAt(it->second) > now) unsteady.push_back(machine);
  }
  return unsteady;
}

absl::Time Absences::NextSteady(absl::Time now) const {
  absl::Time next = absl::InfiniteFuture();
  for (const std::string& machine : Unsteady(now)) {
    next = std::min(next, SteadyAt(seen_.find(machine)->second));
  }
  return next;
}

std::vector<std::string> Absences::Absent() const {
  std::vector<std::string> absent;
  for (const auto& [machine, seen] : seen_) {
    if (!seen.is_there) absent.push_back(machine);
  }
  return absent;
}

void Absences::Forget(const std::string& machine, absl::Time now) {
  const auto it = seen_.find(machine);
  if (it == seen_.end() || it->second.is_there || now < it->second.since + kWithin) return;
  seen_.erase(it);
  often_lost_.erase(machine);
}

}  // namespace fleet::reconcile
