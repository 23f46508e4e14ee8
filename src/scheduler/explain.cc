// Why there is no machine, what would help, and how each machine stands.

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "scheduler/scheduler_impl.h"

namespace fleet::scheduler {

namespace {

using Constraint = Candidate::Constraint;
using Kind = Candidate::Kind;

// Conflicting units are looked for on so many machines at most.
constexpr size_t kMaxMachines = 256;
// Machines that only a cordon closes are named up to this many.
constexpr size_t kNamedMachines = 3;

bool IsConflict(const Constraint& constraint) {
  return constraint.kind == Kind::kConflicts || constraint.kind == Kind::kConflictsWithin;
}

std::string Fit(int machines) {
  return fmt::format("{} {}", machines, machines == 1 ? "machine fits" : "machines fit");
}

// The machines that each constraint rules out, and what is left when some are disregarded.
struct RuledOutSets {
  std::vector<Constraint> constraints;
  std::vector<Bits> out;

  // Those that none of the constraints rules out for which `counts` holds.
  template <typename Predicate>
  Bits LeftBy(Bits slots, Predicate counts) const {
    for (size_t i = 0; i < out.size(); ++i) {
      if (counts(i)) slots -= out[i];
    }
    return slots;
  }
};

RuledOutSets SetsOf(const Candidate& candidate, std::optional<Slot> avoid) {
  RuledOutSets sets = {.constraints = candidate.Constraints(avoid)};
  sets.out.resize(sets.constraints.size());
  std::transform(
      sets.constraints.begin(), sets.constraints.end(), sets.out.begin(),
      [&](const Constraint& constraint) { return candidate.RuledOutBy(constraint, avoid); });
  return sets;
}

}  // namespace

std::vector<UnitId> Scheduler::Impl::SomeConflicts(const Candidate& candidate, const Bits& slots,
                                                   std::optional<ScopeId> scope) const {
  std::set<std::pair<std::string_view, UnitId>> units;
  size_t looked_at = 0;
  std::set<PlaceId> seen;
  for (const Slot slot : state.machines.InOrder(slots)) {
    if (units.size() > kNamedConflicts || looked_at > kMaxMachines) break;
    if (scope && !seen.insert(state.scopes.PlaceOf(*scope, slot)).second) continue;
    ++looked_at;
    const auto conflicts =
        scope ? candidate.ConflictsAt(slot, *scope) : candidate.ConflictsAt(slot);
    for (const UnitId unit : conflicts) units.emplace(state.units.NameOf(unit), unit);
  }
  std::vector<UnitId> sorted;
  sorted.reserve(units.size());
  for (const auto& [name, unit] : units) sorted.push_back(unit);
  return sorted;
}

std::string Scheduler::Impl::TextOf(const Candidate& candidate, const Constraint& constraint,
                                    const Bits& out) const {
  const auto whose = [&](std::string text) {
    if (candidate.units().size() == 1) return text;
    return fmt::format("{} of {}", text, state.units.NameOf(constraint.unit));
  };
  switch (constraint.kind) {
    case Kind::kMetadata:
      return whose(MetadataText(
          constraint.key,
          state.units.ClassOf(constraint.unit).requirements->metadata.at(constraint.key)));
    case Kind::kMachineId: {
      const auto slot = state.machines.Find(constraint.name);
      return whose(MachineIdText(constraint.name, slot && state.machines.present().Test(*slot)));
    }
    case Kind::kMachineOf:
      return whose(MachineOfText(constraint.name, constraint.placed, constraint.present));
    case Kind::kCollocate:
      return whose(
          CollocateText(constraint.key, constraint.name, constraint.placed, constraint.present));
    case Kind::kConflicts:
      if (candidate.conflicts_within_itself()) return std::string(kSelfConflictText);
      return ConflictsText(NamesOf(SomeConflicts(candidate, out, kMachineScope)));
    case Kind::kConflictsWithin:
      return ConflictsWithinText(constraint.key,
                                 NamesOf(SomeConflicts(candidate, out, constraint.scope)));
    case Kind::kCores:
      return ReserveCpuText(candidate.need().milli_cores);
    case Kind::kMemory:
      return ReserveMemoryText(candidate.need().memory);
    case Kind::kCordon:
      return std::string(kNotSchedulableText);
    case Kind::kAvoided:
      return std::string(kAvoidedText);
  }
  return {};
}

namespace {

// Finds single changes that would help. What a remedy says must hold: a machine counts only if
// nothing else rules it out.
class RemedyFinder {
 public:
  RemedyFinder(const State& state, const Candidate& candidate, const RuledOutSets& sets)
      : state_(state), candidate_(candidate), sets_(sets) {}

  std::vector<Remedy> Find(const std::vector<std::string>& texts) {
    for (size_t i = 0; i < sets_.constraints.size(); ++i) {
      const Constraint& constraint = sets_.constraints[i];
      if (IsConflict(constraint)) continue;
      Bits alone =
          sets_.LeftBy(state_.machines.present(), [&](size_t other) { return other != i; });
      alone &= sets_.out[i];
      if (!alone.Empty()) AddFor(constraint, alone, texts[i]);
    }
    if (!candidate_.conflicts_within_itself()) AddWithoutUnits();
    std::sort(remedies_.begin(), remedies_.end(), [](const Remedy& a, const Remedy& b) {
      if (a.machines != b.machines) return a.machines > b.machines;
      return a.text < b.text;
    });
    return std::move(remedies_);
  }

 private:
  void AddFor(const Constraint& constraint, const Bits& alone, const std::string& text) {
    const int machines = static_cast<int>(alone.Count());
    switch (constraint.kind) {
      case Kind::kMetadata:
        return Add(Remedy::Kind::kMetadata, constraint, machines, text);
      case Kind::kMachineId:
        return Add(Remedy::Kind::kMachineId, constraint, machines, text);
      case Kind::kMachineOf:
        return Add(Remedy::Kind::kMachineOf, constraint, machines, text);
      case Kind::kCollocate:
        return Add(Remedy::Kind::kCollocate, constraint, machines, text);
      case Kind::kCores:
      case Kind::kMemory:
        return AddLess(constraint, alone, text);
      case Kind::kCordon:
        return AddUncordon(alone);
      default:
        return;
    }
  }

  void Add(Remedy::Kind kind, const Constraint& constraint, int machines, const std::string& text) {
    remedies_.push_back({.kind = kind,
                         .of = state_.units.NameOf(constraint.unit),
                         .key = constraint.key,
                         .name = constraint.name,
                         .machines = machines,
                         .text = fmt::format("{} but for {}", Fit(machines), text)});
  }

  // The most that one of them could reserve. Of several units the one that reserves most gives way.
  void AddLess(const Constraint& constraint, const Bits& alone, const std::string& text) {
    const bool cores = constraint.kind == Kind::kCores;
    const auto of = [&](const Resources& resources) {
      return cores ? resources.milli_cores : resources.memory;
    };
    int64_t most = 0;
    alone.ForEach([&](Slot slot) { most = std::max(most, of(candidate_.FreeAt(slot))); });
    UnitId largest = candidate_.units()[0];
    for (const UnitId unit : candidate_.units()) {
      if (of(state_.units.ClassOf(unit).reserves) > of(state_.units.ClassOf(largest).reserves)) {
        largest = unit;
      }
    }
    const int64_t others = of(candidate_.need()) - of(state_.units.ClassOf(largest).reserves);
    if (others > 0 && most < others) return;
    const int64_t amount = std::max<int64_t>(most - others, 0);
    int fit = 0;
    alone.ForEach([&](Slot slot) {
      if (others + amount == 0 || of(candidate_.FreeAt(slot)) >= others + amount) ++fit;
    });
    std::string amount_text =
        amount == 0 ? "it fits with none"
                    : fmt::format("at most {}", cores ? FormatCores(amount) : FormatBytes(amount));
    if (candidate_.units().size() > 1) {
      amount_text += fmt::format(" for {}", state_.units.NameOf(largest));
    }
    remedies_.push_back(
        {.kind = cores ? Remedy::Kind::kReserveCpu : Remedy::Kind::kReserveMemory,
         .of = state_.units.NameOf(largest),
         .amount = amount,
         .machines = fit,
         .text = fmt::format("{} but for {} ({})", Fit(static_cast<int>(alone.Count())), text,
                             amount_text)});
  }

  void AddUncordon(const Bits& alone) {
    size_t named = 0;
    for (const Slot slot : state_.machines.InOrder(alone)) {
      if (named++ == kNamedMachines) break;
      const std::string& machine = state_.machines.id(slot);
      remedies_.push_back({.kind = Remedy::Kind::kUncordon,
                           .name = machine,
                           .machines = 1,
                           .text = fmt::format("{} fits but is cordoned or leaving", machine)});
    }
  }

  // Machines that only conflicts rule out, all of them with the same unit.
  void AddWithoutUnits() {
    const Bits only_conflicts = sets_.LeftBy(
        state_.machines.present(), [&](size_t i) { return !IsConflict(sets_.constraints[i]); });
    std::map<std::string, int> machines_by_unit;
    size_t looked_at = 0;
    for (const Slot slot : state_.machines.InOrder(only_conflicts)) {
      if (++looked_at > kMaxMachines) break;
      const auto conflicts = candidate_.ConflictsAt(slot);
      if (conflicts.size() == 1) ++machines_by_unit[state_.units.NameOf(conflicts[0])];
    }
    for (const auto& [unit, machines] : machines_by_unit) {
      if (IsFollowed(unit)) continue;
      remedies_.push_back(
          {.kind = Remedy::Kind::kWithoutUnit,
           .name = unit,
           .machines = machines,
           .text = fmt::format("{} but for the conflict with {}", Fit(machines), unit)});
    }
  }

  bool IsFollowed(const std::string& name) const {
    return std::any_of(
        sets_.constraints.begin(), sets_.constraints.end(), [&](const Constraint& constraint) {
          return (constraint.kind == Kind::kMachineOf || constraint.kind == Kind::kCollocate) &&
                 constraint.name == name;
        });
  }

  const State& state_;
  const Candidate& candidate_;
  const RuledOutSets& sets_;
  std::vector<Remedy> remedies_;
};

}  // namespace

Explanation Scheduler::Explain(std::span<const UnitId> units, std::optional<Slot> avoid,
                               Detail detail) const {
  const State& state = impl_->state;
  const Candidate candidate(impl_->state, units);
  const RuledOutSets sets = SetsOf(candidate, avoid);
  const Bits& present = state.machines.present();
  Explanation explanation = {.machines = static_cast<int>(state.machines.present_count())};
  if (units.size() > 1) {
    for (const UnitId unit : units) explanation.together.push_back(state.units.NameOf(unit));
    std::sort(explanation.together.begin(), explanation.together.end());
  }

  std::vector<std::string> texts;
  Bits left = present;
  Bits in_conflict;
  for (size_t i = 0; i < sets.constraints.size(); ++i) {
    const Constraint& constraint = sets.constraints[i];
    const Bits& out = sets.out[i];
    Bits taken = left;
    taken &= out;
    left -= out;
    const bool is_told = !(detail == Detail::kCounts ? taken : out).Empty();
    texts.push_back(is_told ? impl_->TextOf(candidate, constraint, taken.Empty() ? out : taken)
                            : std::string());
    if (!is_told) continue;
    if (IsConflict(constraint)) in_conflict |= out;
    Bits alone = sets.LeftBy(present, [&](size_t other) { return other != i; });
    alone &= out;
    RuledOut ruled_out = {.constraint = texts.back(),
                          .machines = static_cast<int>(taken.Count()),
                          .in_all = static_cast<int>(out.Count()),
                          .alone = static_cast<int>(alone.Count())};
    (ruled_out.machines > 0 ? explanation.ruled_out : explanation.also)
        .push_back(std::move(ruled_out));
    if (constraint.kind == Kind::kMetadata && !IsFeature(constraint.key) &&
        out.Count() == present.Count()) {
      const auto& values =
          state.units.ClassOf(constraint.unit).requirements->metadata.at(constraint.key);
      explanation.notes.push_back(
          fmt::format("no machine has {}={}", constraint.key, fmt::join(values, "|")));
    }
  }
  std::sort(explanation.ruled_out.begin(), explanation.ruled_out.end(),
            [](const RuledOut& a, const RuledOut& b) {
              if (a.machines != b.machines) return a.machines > b.machines;
              return a.constraint < b.constraint;
            });
  if (detail == Detail::kCounts) {
    explanation.notes.clear();
    return explanation;
  }
  std::sort(explanation.also.begin(), explanation.also.end(),
            [](const RuledOut& a, const RuledOut& b) {
              if (a.in_all != b.in_all) return a.in_all > b.in_all;
              return a.constraint < b.constraint;
            });
  explanation.remedies = RemedyFinder(state, candidate, sets).Find(texts);

  std::set<std::string> conflicts;
  size_t looked_at = 0;
  for (const Slot slot : state.machines.InOrder(in_conflict)) {
    if (++looked_at > kMaxMachines) break;
    for (const UnitId unit : candidate.ConflictsAt(slot)) conflicts.insert(UnitName(unit));
  }
  explanation.conflicts = {conflicts.begin(), conflicts.end()};
  return explanation;
}

std::vector<Verdict> Scheduler::Judge(std::span<const UnitId> units) const {
  const State& state = impl_->state;
  const Candidate candidate(impl_->state, units);
  const auto constraints = candidate.Constraints(std::nullopt);
  std::vector<Verdict> verdicts;
  for (const Slot slot : state.machines.InOrder(state.machines.present())) {
    Verdict verdict = {.machine = state.machines.id(slot)};
    Bits one;
    one.Set(slot);
    for (const Constraint& constraint : constraints) {
      if (!candidate.RulesOut(constraint, slot)) continue;
      verdict.ruled_out_by.push_back(impl_->TextOf(candidate, constraint, one));
    }
    const Candidate::Rank rank = candidate.RankOf(slot);
    verdict.score = {.spread = rank.spread,
                     .by_share = candidate.by_share(),
                     .load = state.machines.LoadOf(rank.key),
                     .runs_there = rank.runs};
    for (const UnitId unit : units) {
      const UnitClass& unit_class = state.units.ClassOf(unit);
      if (unit_class.spread == kMachineScope || !state.units.HasFamily(unit)) continue;
      const PlaceId place = state.scopes.PlaceOf(unit_class.spread, slot);
      if (!Scopes::IsOfValue(place)) continue;
      verdict.score.spread_value =
          state.scopes.ValueText(unit_class.spread, Scopes::ValueOf(place));
      break;
    }
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

}  // namespace fleet::scheduler
