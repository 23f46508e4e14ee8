// Which units have to go so that others of higher priority fit.

#include <algorithm>
#include <limits>
#include <utility>

#include "scheduler/scheduler_impl.h"

namespace fleet::scheduler {

namespace {

// Victims on one machine, and how much is lost with them; what comes first counts more.
struct Offer {
  Slot slot = 0;
  std::vector<UnitId> victims;
  int64_t highest_priority = 0;
  uint64_t key = 0;  // of the machine

  bool IsBetterThan(const Offer& other) const {
    if (highest_priority != other.highest_priority) {
      return highest_priority < other.highest_priority;
    }
    if (victims.size() != other.victims.size()) return victims.size() < other.victims.size();
    return key < other.key;
  }
};

class Bidder {
 public:
  Bidder(const State& state, const Candidate& candidate, const std::function<bool(UnitId)>& may_go)
      : state_(state), candidate_(candidate), may_go_(may_go) {}

  // The fewest and lowest units that have to leave this machine; nullopt if it would not help.
  std::optional<Offer> OfferOf(Slot slot) const {
    std::vector<UnitId> may_leave = LowerOn(slot);
    Resources free = candidate_.FreeAt(slot);
    for (const UnitId unit : may_leave) Add(free, unit, 1);
    if (may_leave.empty() || !IsEnough(free)) return std::nullopt;
    // All would have to go; whoever is not needed stays, the most important one first.
    Offer offer = {.slot = slot,
                   .highest_priority = std::numeric_limits<int64_t>::min(),
                   .key = candidate_.RankOf(slot).key};
    for (const UnitId unit : may_leave) {
      Add(free, unit, -1);
      if (IsEnough(free)) continue;
      Add(free, unit, 1);
      offer.victims.push_back(unit);
      offer.highest_priority = std::max(offer.highest_priority, PriorityOf(unit));
    }
    return offer;
  }

 private:
  int64_t PriorityOf(UnitId unit) const {
    return state_.units.ClassOf(unit).requirements->priority;
  }

  void Add(Resources& free, UnitId unit, int64_t by) const {
    const Resources& reserves = state_.units.ClassOf(unit).reserves;
    free.milli_cores += by * reserves.milli_cores;
    free.memory += by * reserves.memory;
  }

  bool IsEnough(const Resources& free) const {
    const Resources& need = candidate_.need();
    return (need.milli_cores <= 0 || need.milli_cores <= free.milli_cores) &&
           (need.memory <= 0 || need.memory <= free.memory);
  }

  // Whether they have to be near the unit.
  bool IsFollowed(UnitId unit) const {
    const std::string& name = state_.units.NameOf(unit);
    return std::any_of(candidate_.units().begin(), candidate_.units().end(), [&](UnitId follower) {
      const Requirements& requirements = *state_.units.ClassOf(follower).requirements;
      return std::any_of(requirements.machine_of.begin(), requirements.machine_of.end(),
                         [&](const std::string& followed) { return followed == name; }) ||
             std::any_of(requirements.collocate_within.begin(), requirements.collocate_within.end(),
                         [&](const Within& within) { return within.name == name; });
    });
  }

  // Units that may be pushed out: the highest priority first, then the one that reserves less, so
  // that few have to go; then by name.
  std::vector<UnitId> LowerOn(Slot slot) const {
    std::vector<UnitId> lower;
    for (const UnitId unit : state_.units.On(slot)) {
      const UnitClass& unit_class = state_.units.ClassOf(unit);
      if (!unit_class.by_share || PriorityOf(unit) >= candidate_.priority()) continue;
      const auto& placed = state_.units.PlacedOf(unit);
      const bool runs = std::any_of(placed.begin(), placed.end(), [&](const auto& one) {
        return one.slot == slot && one.hold == Hold::kRuns;
      });
      if (runs && !candidate_.Contains(unit) && !IsFollowed(unit) && may_go_(unit)) {
        lower.push_back(unit);
      }
    }
    const Resources& capacity = state_.machines.capacity(slot);
    std::sort(lower.begin(), lower.end(), [&](UnitId a, UnitId b) {
      if (PriorityOf(a) != PriorityOf(b)) return PriorityOf(a) > PriorityOf(b);
      const int64_t share_a = ShareOf(state_.units.ClassOf(a).reserves, capacity);
      const int64_t share_b = ShareOf(state_.units.ClassOf(b).reserves, capacity);
      if (share_a != share_b) return share_a < share_b;
      return state_.units.NameOf(a) < state_.units.NameOf(b);
    });
    return lower;
  }

  const State& state_;
  const Candidate& candidate_;
  const std::function<bool(UnitId)>& may_go_;
};

}  // namespace

std::optional<Preemption> Scheduler::Preempt(std::span<const UnitId> units,
                                             const std::function<bool(UnitId)>& may_go) {
  State& state = impl_->state;
  const Candidate candidate(state, units);
  const auto& priorities = state.units.priorities();
  if (priorities.empty() || priorities.begin()->first >= candidate.priority() ||
      candidate.conflicts_within_itself()) {
    return std::nullopt;
  }
  // Where only room is missing.
  Bits possible = state.machines.present();
  Bits has_room = possible;
  for (const Candidate::Constraint& constraint : candidate.Constraints(std::nullopt)) {
    const Bits out = candidate.RuledOutBy(constraint, std::nullopt);
    const bool is_room =
        constraint.kind == Candidate::Kind::kCores || constraint.kind == Candidate::Kind::kMemory;
    (is_room ? has_room : possible) -= out;
  }
  possible -= has_room;
  const Bidder bidder(state, candidate, may_go);
  std::optional<Offer> best;
  possible.ForEach([&](Slot slot) {
    auto offer = bidder.OfferOf(slot);
    if (offer && (!best || offer->IsBetterThan(*best))) best = std::move(offer);
  });
  if (!best) return std::nullopt;

  // Where they can go, the most important first, once the others are there.
  std::vector<UnitId> victims = best->victims;
  std::sort(victims.begin(), victims.end(), [&](UnitId a, UnitId b) {
    const int64_t priority_a = RequirementsOf(a).priority;
    const int64_t priority_b = RequirementsOf(b).priority;
    if (priority_a != priority_b) return priority_a > priority_b;
    return UnitName(a) < UnitName(b);
  });
  // Places a unit until all is undone.
  struct Tried {
    UnitId unit = 0;
    Slot slot = 0;
    std::optional<Hold> before;
  };
  std::vector<Tried> tried;
  const auto place = [&](UnitId unit, Slot slot) {
    Tried one = {.unit = unit, .slot = slot};
    for (const UnitTable::Placed& placed : state.units.PlacedOf(unit)) {
      if (placed.slot == slot) one.before = placed.hold;
    }
    tried.push_back(one);
    Place(unit, slot, Hold::kRuns);
  };
  for (const UnitId unit : units) place(unit, best->slot);
  Preemption preemption = {.machine = best->slot};
  for (const UnitId victim : victims) {
    // One more of a global unit is no place for it to go to.
    const auto target = RequirementsOf(victim).global ? std::nullopt : Choose(victim, best->slot);
    if (target) place(victim, *target);
    preemption.victims.push_back({victim, target});
  }
  for (const Tried& one : tried) {
    if (one.before) {
      Place(one.unit, one.slot, *one.before);
    } else {
      Unplace(one.unit, one.slot);
    }
  }
  std::sort(preemption.victims.begin(), preemption.victims.end(),
            [&](const Victim& a, const Victim& b) { return UnitName(a.unit) < UnitName(b.unit); });
  return preemption;
}

}  // namespace fleet::scheduler
