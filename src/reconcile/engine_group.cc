// Which units are decided about together: those that MachineOf ties to one machine. See
// engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

namespace {

bool Names(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

// The text that counts: during a trial, that which a rollout would bring.
const std::string& EngineReconciler::TextOf(const std::string& unit,
                                            const UnitRecord& record) const {
  const auto pretended = pretended_.find(unit);
  return pretended == pretended_.end() ? record.content_hash : pretended->second;
}

std::optional<EngineReconciler::Member> EngineReconciler::FindMember(const std::string& unit) {
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.desired == DesiredState::kInactive || IsTemplate(unit) ||
      HasUnreadableRecord(*view_, unit) || !WhatItLacks(record->value).empty()) {
    return std::nullopt;
  }
  auto requirements = occupancy_.RequirementsOf(*view_, unit, TextOf(unit, record->value));
  if (!requirements.ok() || (*requirements)->global) return std::nullopt;
  Member member = {.unit = unit,
                   .record = record,
                   .requirements = *std::move(requirements),
                   .id = occupancy_.IdOf(unit),
                   .placed = AssignmentsOf(unit)};
  if (!WhyTooEarly(member).empty()) return std::nullopt;
  return member;
}

// The units that `first` is tied to, over any number of others for which `belongs` holds, with
// itself. One that follows what is nowhere and does not belong cannot be placed whatever happens to
// the others: it waits by itself, and so do those that follow it.
EngineReconciler::Group EngineReconciler::GroupOf(const Member& first,
                                                  absl::FunctionRef<bool(const Member&)> belongs) {
  if (first.requirements->machine_of.empty() && occupancy_.FollowersOf(first.unit).empty()) {
    return {first};
  }
  std::map<std::string, Member> found;  // by name
  const auto neighbours = [&](const Member& member) {
    std::vector<std::string> names = member.requirements->machine_of;
    const auto& followers = occupancy_.FollowersOf(member.unit);
    names.insert(names.end(), followers.begin(), followers.end());
    return names;
  };
  const auto tied = [](const Member& a, const Member& b) {
    return Names(a.requirements->machine_of, b.unit) || Names(b.requirements->machine_of, a.unit);
  };
  found.emplace(first.unit, first);
  std::vector<std::string> next = {first.unit};
  while (!next.empty()) {
    const Member member = found.at(next.back());
    next.pop_back();
    for (const std::string& name : neighbours(member)) {
      if (found.contains(name)) continue;
      auto other = FindMember(name);
      if (!other || !tied(member, *other) || !belongs(*other)) continue;
      found.emplace(name, *std::move(other));
      next.push_back(name);
    }
  }

  // Those that cannot be placed, and then those that follow them.
  const auto is_nowhere = [&](const std::string& parent) {
    if (found.contains(parent) || in_flight_.contains(parent)) return false;
    const auto id = occupancy_.scheduler().FindUnit(parent);
    return !id || occupancy_.scheduler().RunsOn(*id).empty();
  };
  std::set<std::string> stranded;
  for (const auto& [name, member] : found) {
    const auto& parents = member.requirements->machine_of;
    const auto& near = member.requirements->collocate_within;
    // One that is to be near what follows the group would keep both waiting for ever.
    if (std::any_of(parents.begin(), parents.end(), is_nowhere) ||
        std::any_of(near.begin(), near.end(), [&](const Within& within) {
          return is_nowhere(within.name) && FollowsOneOf(within.name, found);
        })) {
      next.push_back(name);
    }
  }
  while (!next.empty()) {
    const std::string name = std::move(next.back());
    next.pop_back();
    if (!stranded.insert(name).second) continue;
    for (const std::string& follower : occupancy_.FollowersOf(name)) {
      const auto it = found.find(follower);
      if (it == found.end() || !Names(it->second.requirements->machine_of, name)) continue;
      next.push_back(follower);
    }
  }
  if (stranded.contains(first.unit)) return {first};

  // What is still tied to the first, those that are followed first: depth first, without recursion.
  std::set<std::string> connected = {first.unit};
  next = {first.unit};
  while (!next.empty()) {
    const Member& member = found.at(next.back());
    next.pop_back();
    for (const std::string& name : neighbours(member)) {
      const auto it = found.find(name);
      if (it == found.end() || stranded.contains(name) || !tied(member, it->second)) continue;
      if (connected.insert(name).second) next.push_back(name);
    }
  }
  Group group;
  std::set<std::string> seen;
  for (const std::string& name : connected) {
    std::vector<std::pair<std::string, size_t>> path;
    if (seen.insert(name).second) path.emplace_back(name, 0);
    while (!path.empty()) {
      const std::string current = path.back().first;
      const auto& parents = found.at(current).requirements->machine_of;
      if (path.back().second == parents.size()) {
        group.push_back(found.at(current));
        path.pop_back();
        continue;
      }
      const std::string& parent = parents[path.back().second++];
      if (connected.contains(parent) && seen.insert(parent).second) path.emplace_back(parent, 0);
    }
  }
  return group;
}

// Whether it follows one of them, directly or over others.
bool EngineReconciler::FollowsOneOf(const std::string& unit,
                                    const std::map<std::string, Member>& members) {
  std::set<std::string> seen = {unit};
  std::vector<std::string> next = {unit};
  while (!next.empty()) {
    const auto requirements = occupancy_.LastRequirementsOf(next.back());
    next.pop_back();
    if (requirements == nullptr) continue;
    std::vector<std::string> followed = requirements->machine_of;
    for (const Within& within : requirements->collocate_within) followed.push_back(within.name);
    for (const std::string& name : followed) {
      if (members.contains(name)) return true;
      if (seen.insert(name).second) next.push_back(name);
    }
  }
  return false;
}

EngineReconciler::Group EngineReconciler::UnplacedGroup(const Member& member) {
  return GroupOf(member, [&](const Member& other) { return !LiveOf(other); });
}

EngineReconciler::Group EngineReconciler::GroupOn(const Member& member,
                                                  const std::string& machine) {
  return GroupOf(member, [&](const Member& other) { return LiveOn(other, machine) != nullptr; });
}

std::vector<scheduler::UnitId> EngineReconciler::IdsOf(const Group& group) {
  std::vector<scheduler::UnitId> ids;
  ids.reserve(group.size());
  for (const Member& member : group) ids.push_back(member.id);
  return ids;
}

// `unit` and those of the group that follow it, directly or over others.
EngineReconciler::Group EngineReconciler::FollowersWithin(const Group& group,
                                                          const std::string& unit) {
  std::set<std::string> names;
  Group followers;
  for (const Member& member : group) {  // after those that they follow
    const auto& parents = member.requirements->machine_of;
    if (member.unit != unit &&
        std::none_of(parents.begin(), parents.end(),
                     [&](const std::string& parent) { return names.contains(parent); })) {
      continue;
    }
    names.insert(member.unit);
    followers.push_back(member);
  }
  return followers;
}

std::optional<EngineReconciler::Placed> EngineReconciler::LiveOf(const Member& member) const {
  for (const Placed& placed : member.placed) {
    if (placed.stored->value.state != AssignmentState::kGone &&
        placed.stored->value.uid == member.record->value.uid) {
      return placed;
    }
  }
  return std::nullopt;
}

const Stored<Assignment>* EngineReconciler::LiveOn(const Member& member,
                                                   const std::string& machine) const {
  const auto live = LiveOf(member);
  return live && live->machine == machine ? live->stored : nullptr;
}

// Whether that is its one live assignment: a unit that was global may have others still.
bool EngineReconciler::IsOnlyOn(const Member& member, const std::string& machine) const {
  return LiveOn(member, machine) != nullptr &&
         std::count_if(member.placed.begin(), member.placed.end(), [](const Placed& placed) {
           return placed.stored->value.state != AssignmentState::kGone;
         }) == 1;
}

// Whether nothing of it is left that has to end first: tombstones have ended or wait for a lost
// machine, and no machine runs it without being asked.
bool EngineReconciler::IsFree(const Member& member) {
  for (const Placed& placed : member.placed) {
    if (placed.stored->value.state != AssignmentState::kGone) return false;
    const bool is_present = view_->machines.Find(placed.machine) != nullptr;
    if (is_present ? !ReportedGone(*view_, member.unit, placed.machine, placed.stored->value)
                   : !HasEnded(member, placed)) {
      return false;
    }
  }
  for (auto it = FirstOf(view_->states, member.unit); InUnit(it, view_->states, member.unit);
       ++it) {
    if (it->second.value.gone || view_->machines.Find(it->first.machine) == nullptr) continue;
    if (view_->assignments.Find(it->first) == nullptr) return false;
  }
  return true;
}

bool EngineReconciler::IsReadyFor(const Member& member, const Origin& origin) {
  if (in_flight_.contains(member.unit)) return false;
  switch (origin.kind) {
    case Origin::Kind::kNowhere:
      return IsFree(member);
    case Origin::Kind::kLost:
      return IsOnlyOn(member, origin.machine) &&
             HasEnded(member, {origin.machine, LiveOn(member, origin.machine)});
    case Origin::Kind::kLeft: {
      const auto* live = LiveOn(member, origin.machine);
      return IsOnlyOn(member, origin.machine) &&
             ReportedGone(*view_, member.unit, origin.machine, live->value);
    }
  }
  return false;
}

// A unit that follows another waits until the other's place is committed, and so does one that
// follows a unit that waits. One that is being moved may come to be elsewhere than is reserved.
bool EngineReconciler::FollowsOneInFlight(const Group& group) {
  std::set<std::string> seen;
  std::vector<std::string> parents;
  const auto follow = [&](const Requirements& requirements) {
    parents.insert(parents.end(), requirements.machine_of.begin(), requirements.machine_of.end());
    for (const Within& within : requirements.collocate_within) parents.push_back(within.name);
  };
  for (const Member& member : group) seen.insert(member.unit);
  for (const Member& member : group) follow(*member.requirements);
  while (!parents.empty()) {
    const std::string parent = std::move(parents.back());
    parents.pop_back();
    if (!seen.insert(parent).second) continue;
    if (IsBeingMoved(parent)) return true;
    const auto* record = view_->units.Find(parent);
    if (record == nullptr || record->value.desired == DesiredState::kInactive || IsPlaced(parent)) {
      continue;
    }
    const auto its = occupancy_.RequirementsOf(*view_, parent, TextOf(parent, record->value));
    if (its.ok()) follow(**its);
  }
  return false;
}

bool EngineReconciler::IsPlaced(const std::string& unit) const {
  const auto* record = view_->units.Find(unit);
  if (record != nullptr && !record->value.nominated_machine.empty()) return true;
  const auto placed = AssignmentsOf(unit);
  return std::any_of(placed.begin(), placed.end(), [](const Placed& one) {
    return one.stored->value.state != AssignmentState::kGone;
  });
}

bool EngineReconciler::IsWanted(const std::string& unit) const {
  const auto* record = view_->units.Find(unit);
  return record != nullptr && record->value.desired != DesiredState::kInactive;
}

// Whether a unit that is wanted or placed follows it.
bool EngineReconciler::IsFollowed(const std::string& unit) const {
  const auto& followers = occupancy_.FollowersOf(unit);
  return std::any_of(followers.begin(), followers.end(), [&](const std::string& follower) {
    return follower != unit && (IsWanted(follower) || IsPlaced(follower));
  });
}

}  // namespace fleet::reconcile
