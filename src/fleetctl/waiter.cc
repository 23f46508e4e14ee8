#include "fleetctl/waiter.h"

#include <algorithm>
#include <utility>

#include "client/text.h"

namespace fleet::fleetctl {
namespace {

std::string_view DesiredFor(Goal goal) {
  switch (goal) {
    case Goal::kLaunched:
      return "launched";
    case Goal::kLoaded:
      return "loaded";
    case Goal::kInactive:
    case Goal::kDestroyed:
      return "inactive";
    case Goal::kMoved:
    case Goal::kSettled:
      break;  // any but inactive
  }
  return "";
}

// Whether a unit that has got there may still fail.
bool HasWindow(Goal goal) { return goal == Goal::kLaunched || goal == Goal::kMoved; }

// "it is activating (start-pre) on 8be9…", as far as that is known.
std::string HowFar(const client::Unit& unit) {
  if (!unit.move_to.empty()) return "its move has not begun yet";
  if (!unit.status.active_state.empty()) {
    std::string text = Cat("systemd says ", unit.status.active_state);
    if (!unit.status.sub_state.empty()) Append(text, " (", unit.status.sub_state, ")");
    return text;
  }
  if (!unit.status.reason.empty()) return unit.status.reason;
  if (unit.status.machine_id.empty()) return "it has no machine yet";
  return "its machine has not reported on it yet";
}

}  // namespace

std::string_view ToString(Goal goal) {
  if (goal == Goal::kMoved) return "moved";
  if (goal == Goal::kSettled) return "settled";
  return goal == Goal::kDestroyed ? "destroyed" : DesiredFor(goal);
}

Waiter::Waiter(Goal goal, const std::vector<std::string>& names) : goal_(goal) {
  for (const std::string& name : names) targets_.try_emplace(name);
  open_ = targets_.size();
}

Waiter::Waiter(const std::map<std::string, std::string>& moves) : goal_(Goal::kMoved) {
  for (const auto& [name, machine] : moves) targets_[name].destination = machine;
  open_ = targets_.size();
}

void Waiter::OnSnapshot(const std::vector<client::Unit>& units,
                        const std::vector<client::UnitState>& states, absl::Time now) {
  std::map<std::string_view, const client::Unit*> by_name;
  for (const client::Unit& unit : units) by_name[unit.name] = &unit;
  for (auto& [name, target] : targets_) target.machines.clear();
  for (const client::UnitState& state : states) OnState(state);
  for (auto& [name, target] : targets_) {
    if (target.closed) continue;
    const auto it = by_name.find(name);
    if (it != by_name.end()) {
      OnUnit(*it->second, now);
    } else if (!are_to_come_ || !target.last.name.empty()) {
      OnUnitRemoved(name, now);
    }
  }
  OnTime(now);
}

void Waiter::OnUnit(const client::Unit& unit, absl::Time now) {
  const auto it = targets_.find(unit.name);
  if (it == targets_.end() || it->second.closed) return;
  if (goal_ == Goal::kDestroyed) {
    // It was destroyed before this was seen: somebody has made another unit of that name.
    Close(it->first, it->second, {.kind = Outcome::Kind::kDone});
    return;
  }
  Judge(it->first, it->second, unit, now);
  if (it->second.closed) OnTime(now);  // it may have been the last one that the others waited for
}

bool Waiter::IsRedirected(const client::Unit& unit) const {
  if (goal_ == Goal::kMoved || goal_ == Goal::kSettled) return unit.desired_state == "inactive";
  return unit.desired_state != DesiredFor(goal_);
}

void Waiter::Judge(const std::string& name, Target& target, const client::Unit& unit,
                   absl::Time now) {
  target.last = unit;
  Outcome outcome{.machine_id = unit.status.machine_id,
                  .reason = unit.status.reason,
                  .log_tail = unit.status.log_tail};
  if (IsRedirected(unit)) {
    outcome.kind = Outcome::Kind::kRedirected;
    outcome.reason = unit.desired_state;
    Close(name, target, std::move(outcome));
    return;
  }
  if (unit.global) {
    outcome.kind = Outcome::Kind::kGlobal;
    Close(name, target, std::move(outcome));
    return;
  }
  const std::string& progress = unit.status.progress;
  const bool has_begun = goal_ != Goal::kMoved || unit.move_to.empty();
  if (progress != "pending" || unit.status.reason != target.delayed_by) target.delayed_by.clear();
  if (has_begun && (progress == "failed" || progress == "waiting")) {
    outcome.kind = progress == "failed" ? Outcome::Kind::kFailed : Outcome::Kind::kWaiting;
    Close(name, target, std::move(outcome));
  } else if (has_begun && progress == "reached") {
    JudgeReached(name, target, now);
  } else {
    JudgePending(target, now);
  }
}

void Waiter::JudgePending(Target& target, absl::Time now) {
  target.holding = false;
  const std::string& reason = target.last.status.reason;
  if (target.last.status.progress != "pending" || reason.empty() || reason == target.delayed_by)
    return;
  target.delayed_by = reason;
  target.delayed_at = now;
  target.told_delay = false;
  wakeup_ = std::min(wakeup_, now + kPatience);
}

void Waiter::TellDelay(const std::string& name, Target& target, absl::Time now) {
  if (target.delayed_by.empty() || target.told_delay) return;
  if (now < target.delayed_at + kPatience) {
    wakeup_ = std::min(wakeup_, target.delayed_at + kPatience);
    return;
  }
  target.told_delay = true;
  delays_.push_back(
      {.name = name, .machine_id = target.last.status.machine_id, .reason = target.delayed_by});
}

void Waiter::JudgeReached(const std::string& name, Target& target, absl::Time now) {
  const client::Unit& unit = target.last;
  Outcome outcome{.machine_id = unit.status.machine_id, .desired = unit.desired_state};
  if (goal_ == Goal::kMoved && unit.status.machine_id != target.destination) {
    outcome.kind = Outcome::Kind::kStayed;
    Close(name, target, std::move(outcome));
  } else if (!HasWindow(goal_) || unit.desired_state != "launched") {
    Close(name, target, std::move(outcome));
  } else if (!target.holding) {
    target.holding = true;
    target.reached_at = now;
    wakeup_ = std::min(wakeup_, now + kWindow);
  }
}

void Waiter::OnUnitRemoved(const std::string& name, absl::Time now) {
  const auto it = targets_.find(name);
  if (it == targets_.end() || it->second.closed) return;
  if (goal_ == Goal::kDestroyed) {
    it->second.present = false;
    CheckDestroyed(name, it->second);
    return;
  }
  Close(name, it->second, {.kind = Outcome::Kind::kVanished});
  OnTime(now);
}

void Waiter::OnState(const client::UnitState& state) {
  const auto it = targets_.find(state.name);
  if (it != targets_.end()) it->second.machines.insert(state.machine_id);
}

void Waiter::OnStateRemoved(const std::string& name, const std::string& machine_id,
                            absl::Time /*now*/) {
  const auto it = targets_.find(name);
  if (it == targets_.end()) return;
  it->second.machines.erase(machine_id);
  if (goal_ == Goal::kDestroyed && !it->second.closed) CheckDestroyed(name, it->second);
}

void Waiter::CheckDestroyed(const std::string& name, Target& target) {
  if (!target.present && target.machines.empty())
    Close(name, target, {.kind = Outcome::Kind::kDone});
}

void Waiter::OnTime(absl::Time now) {
  bool all_held = true;
  wakeup_ = absl::InfiniteFuture();
  for (auto& [name, target] : targets_) {
    if (target.closed) continue;
    TellDelay(name, target, now);
    if (!target.holding || now < target.reached_at + kWindow) {
      all_held = false;
      if (target.holding) wakeup_ = std::min(wakeup_, target.reached_at + kWindow);
      continue;
    }
    if (target.reported) continue;
    target.reported = true;
    outcomes_.push_back({.name = name,
                         .kind = Outcome::Kind::kDone,
                         .machine_id = target.last.status.machine_id,
                         .desired = target.last.desired_state});
  }
  if (!all_held || !HasWindow(goal_)) return;
  for (auto& [name, target] : targets_) target.closed = true;
  open_ = 0;
}

void Waiter::OnTimeout() {
  for (auto& [name, target] : targets_) {
    if (target.closed || target.reported) continue;
    std::string reason;
    if (goal_ == Goal::kDestroyed) {
      reason = target.present ? "nothing was heard of it"
                              : Cat("it still runs on ", Join(target.machines, ", "));
    } else {
      reason = target.last.name.empty() ? "nothing was heard of it" : HowFar(target.last);
    }
    Close(name, target,
          {.kind = Outcome::Kind::kTimedOut,
           .machine_id = target.last.status.machine_id,
           .reason = std::move(reason)});
  }
  open_ = 0;
}

void Waiter::Close(const std::string& name, Target& target, Outcome outcome) {
  target.closed = true;
  --open_;
  outcome.name = name;
  outcomes_.push_back(std::move(outcome));
}

std::vector<Outcome> Waiter::TakeOutcomes() { return std::exchange(outcomes_, {}); }

std::vector<Delay> Waiter::TakeDelays() { return std::exchange(delays_, {}); }

}  // namespace fleet::fleetctl
