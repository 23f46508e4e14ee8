#include "scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "scheduler/explanation.h"
#include "scheduler/machine_index.h"
#include "scheduler/placements.h"

namespace fleet::scheduler {

struct Scheduler::Impl {
  using Candidate = Placements::Candidate;

  // What is left of all machines when each constraint has been applied in turn.
  struct Feasible {
    Bits slots;
    std::vector<RuledOut> ruled_out;  // only if asked for
  };
  enum class Explain { kNo, kYes };

  MachineIndex machines;
  Placements placements;

  Slot SlotOf(std::string_view machine) {
    const Slot slot = machines.FindOrAdd(machine);
    if (!machines.NeedsRenumbering()) return slot;
    // An empty absent machine would be dropped; this one is about to be used.
    machines.ChangeLoad(slot, 1);
    placements.Renumber(machines.Renumber());
    const Slot renumbered = *machines.Find(machine);
    machines.ChangeLoad(renumbered, -1);
    return renumbered;
  }

  Bits Runs(std::string_view unit) const {
    Bits slots;
    for (const Slot slot : placements.RunsOn(unit)) slots.Set(slot);
    return slots;
  }

  std::string TextOfMachineOf(const std::string& unit) const {
    Bits runs = Runs(unit);
    const size_t placed = runs.Count();
    runs &= machines.present();
    return MachineOfText(unit, placed, runs.Count());
  }

  std::string TextOfMachineId(const std::string& id) const {
    const auto slot = machines.Find(id);
    return MachineIdText(id, slot && machines.is_present(*slot));
  }

  // Enough of the units that conflict on these machines to name some, from the first machines on.
  std::vector<std::string> SomeConflicts(const Candidate& candidate, const Bits& slots) const {
    constexpr size_t kMaxMachines = 256;
    std::set<std::string> units;
    size_t looked_at = 0;
    for (const Slot slot : machines.InOrder(slots)) {
      if (units.size() > kNamedConflicts || ++looked_at > kMaxMachines) break;
      for (std::string& unit : placements.ConflictsOn(candidate, slot)) {
        units.insert(std::move(unit));
      }
    }
    return {units.begin(), units.end()};
  }

  // The constraints in the order in which a machine is counted, see RuledOut.
  Feasible Narrow(const Candidate& candidate, const Requirements& requirements,
                  std::string_view avoid, Explain explain) const {
    Feasible feasible = {.slots = machines.present()};
    // Takes `out` away; `text` says why, given what it took.
    const auto rule_out = [&](const Bits& out, auto text) {
      if (explain == Explain::kYes) {
        Bits taken = feasible.slots;
        taken &= out;
        const size_t count = taken.Count();
        if (count > 0) feasible.ruled_out.push_back({text(taken), static_cast<int>(count)});
      }
      feasible.slots -= out;
    };
    const auto keep_only = [&](const Bits& kept, auto text) {
      Bits out = machines.present();
      out -= kept;
      rule_out(out, text);
    };

    for (const auto& [key, values] : requirements.metadata) {
      keep_only(machines.WithMetadata(key, values),
                [&](const Bits&) { return MetadataText(key, values); });
    }
    if (!requirements.machine_id.empty()) {
      Bits kept;
      if (const auto slot = machines.Find(requirements.machine_id)) kept.Set(*slot);
      keep_only(kept, [&](const Bits&) { return TextOfMachineId(requirements.machine_id); });
    }
    for (const std::string& unit : requirements.machine_of) {
      keep_only(Runs(unit), [&](const Bits&) { return TextOfMachineOf(unit); });
    }
    rule_out(placements.Conflicting(candidate),
             [&](const Bits& taken) { return ConflictsText(SomeConflicts(candidate, taken)); });
    keep_only(machines.schedulable(), [](const Bits&) { return std::string(kNotSchedulableText); });
    if (const auto slot = machines.Find(avoid)) {
      Bits out;
      out.Set(*slot);
      rule_out(out, [](const Bits&) { return std::string(kAvoidedText); });
    }
    return feasible;
  }

  // The least loaded, where the candidate's own occupation does not count as load; of equals the
  // one where it runs already, then the first id.
  std::optional<Slot> Best(const Candidate& candidate, const std::string& unit, Bits slots) const {
    struct Rank {
      Slot slot = 0;
      uint32_t load = 0;
      bool runs = false;
    };
    const std::vector<Slot> runs_on = placements.RunsOn(unit);
    std::vector<Rank> occupied;
    for (const Slot slot : candidate.Occupied()) {
      if (!slots.Test(slot)) continue;
      occupied.push_back({slot, machines.load(slot) - 1,
                          std::binary_search(runs_on.begin(), runs_on.end(), slot)});
      slots.Clear(slot);
    }
    std::optional<Rank> best;
    if (const auto slot = machines.LeastLoaded(slots)) best = {*slot, machines.load(*slot), false};
    for (const Rank& rank : occupied) {
      const bool stays = best && rank.load == best->load && rank.runs != best->runs;
      if (!best ||
          (stays ? rank.runs : machines.IsBefore(rank.slot, rank.load, best->slot, best->load))) {
        best = rank;
      }
    }
    if (!best) return std::nullopt;
    return best->slot;
  }

  Explanation ExplanationOf(const Candidate& candidate, const Requirements& requirements,
                            std::string_view avoid) const {
    Explanation explanation = {.machines = static_cast<int>(machines.present().Count())};
    explanation.ruled_out = Narrow(candidate, requirements, avoid, Explain::kYes).ruled_out;
    std::sort(explanation.ruled_out.begin(), explanation.ruled_out.end(),
              [](const RuledOut& a, const RuledOut& b) {
                if (a.machines != b.machines) return a.machines > b.machines;
                return a.constraint < b.constraint;
              });
    return explanation;
  }
};

Scheduler::Scheduler() : impl_(std::make_unique<Impl>()) {}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

void Scheduler::SetMachine(const Machine& machine) {
  impl_->machines.Set(impl_->SlotOf(machine.id), machine);
}

void Scheduler::RemoveMachine(std::string_view id) {
  if (const auto slot = impl_->machines.Find(id)) impl_->machines.Remove(*slot);
}

bool Scheduler::HasMachine(std::string_view id) const {
  const auto slot = impl_->machines.Find(id);
  return slot && impl_->machines.is_present(*slot);
}

void Scheduler::Place(const std::string& unit, const RequirementsPtr& requirements,
                      const std::string& machine, Hold hold) {
  Unplace(unit, machine);
  const Slot slot = impl_->SlotOf(machine);
  impl_->placements.Add(unit, requirements ? *requirements : Requirements{}, slot, hold);
  impl_->machines.ChangeLoad(slot, 1);
}

void Scheduler::Unplace(const std::string& unit, const std::string& machine) {
  const auto slot = impl_->machines.Find(machine);
  if (slot && impl_->placements.Remove(unit, *slot)) impl_->machines.ChangeLoad(*slot, -1);
}

Choice Scheduler::Choose(const std::string& unit, const Requirements& requirements,
                         std::string_view avoid) const {
  const auto candidate = impl_->placements.MakeCandidate(unit, requirements);
  auto feasible = impl_->Narrow(candidate, requirements, avoid, Impl::Explain::kNo);
  if (const auto best = impl_->Best(candidate, unit, std::move(feasible.slots))) {
    return {.machine = impl_->machines.id(*best)};
  }
  return {.explanation = impl_->ExplanationOf(candidate, requirements, avoid)};
}

std::string Scheduler::RulesOut(const std::string& unit, const Requirements& requirements,
                                const std::string& machine, bool newcomer) const {
  const auto slot = impl_->machines.Find(machine);
  if (!slot || !impl_->machines.is_present(*slot)) return std::string(kAbsentText);
  for (const auto& [key, values] : requirements.metadata) {
    if (!impl_->machines.HasMetadata(*slot, key, values)) return MetadataText(key, values);
  }
  if (!requirements.machine_id.empty() && requirements.machine_id != machine) {
    return impl_->TextOfMachineId(requirements.machine_id);
  }
  for (const std::string& followed : requirements.machine_of) {
    const std::vector<Slot> runs = impl_->placements.RunsOn(followed);
    if (!std::binary_search(runs.begin(), runs.end(), *slot)) {
      return impl_->TextOfMachineOf(followed);
    }
  }
  const auto candidate = impl_->placements.MakeCandidate(unit, requirements);
  if (impl_->placements.ConflictsAt(candidate, *slot)) {
    return ConflictsText(impl_->placements.ConflictsOn(candidate, *slot));
  }
  if (newcomer && !impl_->machines.is_schedulable(*slot)) return std::string(kNotSchedulableText);
  return {};
}

std::vector<std::string> Scheduler::EligibleMachines(const std::string& unit,
                                                     const Requirements& requirements) const {
  const auto candidate = impl_->placements.MakeCandidate(unit, requirements);
  const auto feasible = impl_->Narrow(candidate, requirements, {}, Impl::Explain::kNo);
  std::vector<std::string> ids;
  for (const Slot slot : impl_->machines.InOrder(feasible.slots)) {
    ids.push_back(impl_->machines.id(slot));
  }
  return ids;
}

std::vector<std::string> Scheduler::ConflictsOn(const std::string& unit,
                                                const Requirements& requirements,
                                                const std::string& machine) const {
  const auto slot = impl_->machines.Find(machine);
  if (!slot) return {};
  const auto candidate = impl_->placements.MakeCandidate(unit, requirements);
  return impl_->placements.ConflictsOn(candidate, *slot);
}

}  // namespace fleet::scheduler
