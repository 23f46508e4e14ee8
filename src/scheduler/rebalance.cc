// The fewest moves that even out. Each move makes the cluster better in the order: instances over
// the values of SpreadOver, reserved shares, weights; so it ends, and a second run finds nothing.

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "fmt/format.h"
#include "scheduler/scheduler_impl.h"

namespace fleet::scheduler {

namespace {

// A move for the sake of reserved shares has to make so much of a difference: a hundredth.
constexpr int64_t kLeastGain = kWholeShare / 100;

// Instances of one template that spread over different keys may chase each other for ever.
constexpr size_t kMostSteps = 8;

class Rebalancer {
 public:
  Rebalancer(Scheduler& scheduler, State& state, size_t max_moves,
             const std::function<bool(UnitId)>& may_move)
      : scheduler_(scheduler),
        state_(state),
        max_moves_(max_moves),
        may_move_(may_move),
        followed_(state.units.Followed()) {}

  std::vector<Move> Run() {
    // A move may make room for another one: until a whole round finds nothing.
    for (size_t before = steps_ + 1; before != steps_ && !IsDone();) {
      before = steps_;
      EvenOutSpreads();
      if (state_.placement == Placement::kPack) continue;
      EvenOutLoad(/*by_share=*/true);
      EvenOutLoad(/*by_share=*/false);
    }
    for (const Move& move : moves_) CarryOut(move.unit, move.to, move.from);
    std::vector<Move> possible = InPossibleOrder(std::move(moves_));
    for (const Move& move : possible) CarryOut(move.unit, move.to, move.from);
    return possible;
  }

 private:
  void CarryOut(UnitId unit, Slot from, Slot to) {
    scheduler_.Unplace(unit, from);
    scheduler_.Place(unit, to, Hold::kRuns);
  }

  // What took several steps on the way to its machine may have found it free only once others had
  // moved. Carries out, one after the other, the moves that can be; the rest, which would have to
  // change places, is left out.
  std::vector<Move> InPossibleOrder(std::vector<Move> moves) {
    std::vector<Move> ordered;
    for (size_t left = moves.size() + 1; !moves.empty() && moves.size() < left;) {
      left = moves.size();
      std::erase_if(moves, [&](Move& move) {
        const Candidate candidate(state_, {&move.unit, 1});
        if (!candidate.Fits(candidate.Constraints(std::nullopt), move.to)) return false;
        CarryOut(move.unit, move.from, move.to);
        ordered.push_back(std::move(move));
        return true;
      });
    }
    return ordered;
  }

  size_t StepsOf(UnitId unit) const {
    const auto found = steps_of_.find(unit);
    return found == steps_of_.end() ? 0 : found->second;
  }

  bool IsDone() const { return moves_.size() >= max_moves_; }

  // Where the unit is, if it is on one present machine only and may move.
  std::optional<Slot> MovableFrom(UnitId unit) const {
    const auto& placed = state_.units.PlacedOf(unit);
    if (placed.size() != 1 || placed[0].hold != Hold::kRuns ||
        state_.units.ClassOf(unit).requirements->global ||
        !state_.machines.present().Test(placed[0].slot) || !may_move_(unit) ||
        StepsOf(unit) >= kMostSteps) {
      return std::nullopt;
    }
    return placed[0].slot;
  }

  // Whether units that have to be near it would have to move as well.
  bool LeavesOthers(UnitId unit, Slot from, Slot to) const {
    const auto followed = followed_.find(state_.units.NameOf(unit));
    return followed != followed_.end() &&
           std::any_of(followed->second.begin(), followed->second.end(), [&](ScopeId scope) {
             return state_.scopes.PlaceOf(scope, from) != state_.scopes.PlaceOf(scope, to);
           });
  }

  // Carries out a move if the unit has a better machine. Spread first, then load.
  bool TryMove(UnitId unit) {
    const auto from = MovableFrom(unit);
    if (!from) return false;
    const auto to = scheduler_.Choose(unit, from);
    if (!to || LeavesOthers(unit, *from, *to)) return false;
    const Candidate candidate(state_, {&unit, 1});
    const Candidate::Rank here = candidate.RankOf(*from);
    const Candidate::Rank there = candidate.RankOf(*to);
    std::string reason = ReasonFor(unit, here, there);
    if (reason.empty()) return false;
    CarryOut(unit, *from, *to);
    ++steps_;
    ++steps_of_[unit];
    last_target_ = *to;
    const auto earlier = std::find_if(moves_.begin(), moves_.end(),
                                      [&](const Move& move) { return move.unit == unit; });
    if (earlier == moves_.end()) {
      moves_.push_back({unit, *from, *to, std::move(reason)});
    } else if (earlier->from == *to) {
      moves_.erase(earlier);
    } else {
      earlier->to = *to;
    }
    return true;
  }

  // Empty if the move would not make enough of a difference. Ranks are without the unit itself.
  std::string ReasonFor(UnitId unit, const Candidate::Rank& here,
                        const Candidate::Rank& there) const {
    if (there.spread != here.spread) {
      if (there.spread > here.spread) return {};
      return fmt::format("{} of {} run where it is, {} there", ToCount(here.spread) + 1,
                         state_.units.family(state_.units.FamilyOf(unit)).name,
                         ToCount(there.spread));
    }
    if (state_.placement == Placement::kPack) return {};
    const UnitClass& unit_class = state_.units.ClassOf(unit);
    const MachineTable& machines = state_.machines;
    if (unit_class.by_share) {
      const int64_t share_here =
          ShareOf(machines.reserved(here.slot), machines.capacity(here.slot));
      Resources then = machines.reserved(there.slot);
      then.milli_cores += unit_class.reserves.milli_cores;
      then.memory += unit_class.reserves.memory;
      const int64_t share_there = ShareOf(then, machines.capacity(there.slot));
      if (share_there + kLeastGain > share_here) return {};
      return fmt::format("{}% are reserved where it is, {}% there then", ToPercent(share_here),
                         ToPercent(share_there));
    }
    const int64_t weight = unit_class.requirements->weight;
    const int64_t load_here = machines.weight(here.slot);
    const int64_t load_there = machines.weight(there.slot) + weight;
    if (load_there >= load_here) return {};
    return fmt::format("load {} where it is, {} there then", load_here, load_there);
  }

  static int64_t ToPercent(int64_t share) { return share / (kWholeShare / 100); }
  static int64_t ToCount(int64_t spread) { return spread >= kLacksSpreadKey ? 0 : spread; }

  // Instances of each template, those first where most of them are.
  void EvenOutSpreads() {
    for (const auto& [name, id] : state_.units.families()) {
      const UnitTable::Family& family = state_.units.family(id);
      std::vector<std::pair<std::string_view, ScopeId>> scopes;  // by key
      for (const UnitTable::Spread& spread : family.spreads) {
        scopes.emplace_back(state_.scopes.KeyOf(spread.scope), spread.scope);
      }
      std::sort(scopes.begin(), scopes.end());
      for (const auto& [key, scope] : scopes) {
        while (!IsDone() && MoveOneOf(family, scope)) {
        }
        if (IsDone()) return;
      }
    }
  }

  bool MoveOneOf(const UnitTable::Family& family, ScopeId scope) {
    std::vector<std::tuple<int64_t, std::string_view, UnitId>> members;
    for (const UnitId unit : family.members) {
      const auto from = MovableFrom(unit);
      if (!from || state_.units.ClassOf(unit).spread != scope) continue;
      const Candidate candidate(state_, {&unit, 1});
      members.emplace_back(-candidate.SpreadOf(*from), state_.units.NameOf(unit), unit);
    }
    std::sort(members.begin(), members.end());
    for (const auto& [count, name, unit] : members) {
      const Candidate candidate(state_, {&unit, 1});
      const Slot from = state_.units.PlacedOf(unit)[0].slot;
      const auto to = scheduler_.Choose(unit, from);
      if (to && candidate.SpreadOf(*to) < candidate.SpreadOf(from) && TryMove(unit)) return true;
    }
    return false;
  }

  // From the most loaded machine to the least, until no machine has a unit that would gain.
  void EvenOutLoad(bool by_share) {
    // The most loaded first; of equals by id. Machines of which nothing can go are left out.
    using Entry = std::tuple<int64_t, uint32_t, Slot>;
    std::set<Entry> order;
    std::map<Slot, Entry> entries;
    const auto entry_of = [&](Slot slot) {
      const uint64_t key =
          by_share ? state_.machines.KeyByShare(slot) : state_.machines.KeyByWeight(slot);
      return Entry(-state_.machines.LoadOf(key), MachineTable::OrderOf(key), slot);
    };
    state_.machines.present().ForEach([&](Slot slot) {
      entries[slot] = entry_of(slot);
      order.insert(entries[slot]);
    });
    while (!order.empty() && !IsDone()) {
      const Slot from = std::get<2>(*order.begin());
      order.erase(order.begin());
      if (!MoveOneOff(from, by_share)) continue;
      order.erase(entries[last_target_]);
      for (const Slot slot : {from, last_target_}) {
        entries[slot] = entry_of(slot);
        order.insert(entries[slot]);
      }
    }
  }

  bool MoveOneOff(Slot from, bool by_share) {
    std::vector<UnitId> units;
    for (const UnitId unit : state_.units.On(from)) {
      if (state_.units.ClassOf(unit).by_share == by_share && MovableFrom(unit)) {
        units.push_back(unit);
      }
    }
    std::sort(units.begin(), units.end(),
              [&](UnitId a, UnitId b) { return state_.units.NameOf(a) < state_.units.NameOf(b); });
    // Of a kind of which one has no better machine none has.
    std::set<std::pair<ClassId, MatchSetId>> failed;
    for (const UnitId unit : units) {
      const bool alike = state_.units.ClassOf(unit).spread == kMachineScope &&
                         !followed_.contains(state_.units.NameOf(unit));
      const std::pair kind(state_.units.ClassIdOf(unit), state_.units.MatchSetOf(unit));
      if (alike && failed.contains(kind)) continue;
      if (TryMove(unit)) return true;
      if (alike) failed.insert(kind);
    }
    return false;
  }

  Scheduler& scheduler_;
  State& state_;
  const size_t max_moves_;
  const std::function<bool(UnitId)>& may_move_;
  const std::map<std::string, std::vector<ScopeId>> followed_;
  std::vector<Move> moves_;  // one for each unit at most
  size_t steps_ = 0;
  std::map<UnitId, size_t> steps_of_;
  Slot last_target_ = 0;
};

}  // namespace

std::vector<Move> Scheduler::Rebalance(size_t max_moves,
                                       const std::function<bool(UnitId)>& may_move) {
  return Rebalancer(*this, impl_->state, max_moves, may_move).Run();
}

}  // namespace fleet::scheduler
