#include "scheduler/scheduler.h"

#include <algorithm>

#include "model/features.h"
#include "scheduler/scheduler_impl.h"

namespace fleet::scheduler {

std::optional<uint64_t> Scheduler::Impl::KindOf(UnitId unit) const {
  const UnitClass& unit_class = state.units.ClassOf(unit);
  // What is followed may move without making room.
  if (!unit_class.requirements->machine_of.empty() || !unit_class.collocate.empty() ||
      !state.units.PlacedOf(unit).empty()) {
    return std::nullopt;
  }
  return uint64_t{state.units.ClassIdOf(unit)} << 32 | state.units.MatchSetOf(unit);
}

void Scheduler::Impl::SortByName(std::vector<UnitId>& units) const {
  std::sort(units.begin(), units.end(),
            [&](UnitId a, UnitId b) { return state.units.NameOf(a) < state.units.NameOf(b); });
}

std::vector<std::string> Scheduler::Impl::NamesOf(const std::vector<UnitId>& units) const {
  std::vector<std::string> names;
  names.reserve(units.size());
  for (const UnitId unit : units) names.push_back(state.units.NameOf(unit));
  return names;
}

Scheduler::Scheduler(Placement placement) : impl_(std::make_unique<Impl>(placement)) {}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

// --- machines ------------------------------------------------------------------------------------

Slot Scheduler::SetMachine(const Machine& machine) {
  State& state = impl_->state;
  const Slot slot = state.machines.FindOrAdd(machine.id);
  state.machines.Set(slot, machine);
  state.units.MachineChanged(slot);
  state.domains.MachineChanged(slot);
  ++impl_->loosened;
  return slot;
}

void Scheduler::RemoveMachine(std::string_view id) {
  State& state = impl_->state;
  const auto slot = state.machines.Find(id);
  if (!slot) return;
  state.machines.Remove(*slot);
  state.units.MachineChanged(*slot);
  state.domains.MachineChanged(*slot);
  ++impl_->loosened;
}

Slot Scheduler::SlotOf(std::string_view id) { return impl_->state.machines.FindOrAdd(id); }

std::optional<Slot> Scheduler::FindMachine(std::string_view id) const {
  return impl_->state.machines.Find(id);
}

const std::string& Scheduler::MachineName(Slot machine) const {
  return impl_->state.machines.id(machine);
}

bool Scheduler::IsPresent(Slot machine) const {
  return impl_->state.machines.present().Test(machine);
}

size_t Scheduler::present_machines() const { return impl_->state.machines.present_count(); }

Resources Scheduler::ReservedOn(Slot machine) const {
  return impl_->state.machines.reserved(machine);
}

// --- units ---------------------------------------------------------------------------------------

UnitId Scheduler::SetUnit(std::string_view name, const RequirementsPtr& requirements) {
  const auto [unit, is_changed] = impl_->state.units.Set(name, requirements);
  if (is_changed) ++impl_->loosened;
  return unit;
}

void Scheduler::RemoveUnit(UnitId unit) {
  impl_->state.units.Remove(unit);
  ++impl_->loosened;
}

std::optional<UnitId> Scheduler::FindUnit(std::string_view name) const {
  return impl_->state.units.Find(name);
}

const std::string& Scheduler::UnitName(UnitId unit) const {
  return impl_->state.units.NameOf(unit);
}

const Requirements& Scheduler::RequirementsOf(UnitId unit) const {
  return *impl_->state.units.ClassOf(unit).requirements;
}

void Scheduler::Place(UnitId unit, Slot machine, Hold hold) {
  impl_->state.units.Place(unit, machine, hold);
}

void Scheduler::Unplace(UnitId unit, Slot machine) {
  if (impl_->state.units.Unplace(unit, machine)) ++impl_->loosened;
}

std::vector<Slot> Scheduler::RunsOn(UnitId unit) const {
  Bits slots;
  for (const UnitTable::Placed& placed : impl_->state.units.PlacedOf(unit)) {
    if (placed.hold == Hold::kRuns) slots.Set(placed.slot);
  }
  return impl_->state.machines.InOrder(slots);
}

std::vector<Slot> Scheduler::Occupies(UnitId unit) const {
  Bits slots;
  for (const UnitTable::Placed& placed : impl_->state.units.PlacedOf(unit)) slots.Set(placed.slot);
  return impl_->state.machines.InOrder(slots);
}

std::vector<UnitId> Scheduler::UnitsOn(Slot machine) const {
  std::vector<UnitId> units = impl_->state.units.On(machine);
  impl_->SortByName(units);
  return units;
}

bool Scheduler::HasUnits(Slot machine) const { return !impl_->state.units.On(machine).empty(); }

// --- questions -----------------------------------------------------------------------------------

std::optional<Slot> Scheduler::Choose(UnitId unit, std::optional<Slot> avoid) const {
  // What has failed without anything to avoid fails with it, too.
  if (!impl_->failed.empty()) {
    const auto kind = impl_->KindOf(unit);
    const auto failed = kind ? impl_->failed.find(*kind) : impl_->failed.end();
    if (failed != impl_->failed.end() && failed->second == impl_->FailuresUntil()) {
      return std::nullopt;
    }
  }
  const auto chosen = ChooseTogether({&unit, 1}, avoid);
  if (chosen || avoid) return chosen;
  if (const auto kind = impl_->KindOf(unit)) {
    constexpr size_t kMost = 100'000;
    if (impl_->failed.size() >= kMost) impl_->failed.clear();
    impl_->failed[*kind] = impl_->FailuresUntil();
  }
  return chosen;
}

std::optional<Slot> Scheduler::ChooseTogether(std::span<const UnitId> units,
                                              std::optional<Slot> avoid) const {
  return Candidate(impl_->state, units).Best(avoid);
}

std::vector<Slot> Scheduler::Ranked(std::span<const UnitId> units,
                                    std::optional<Slot> avoid) const {
  return Candidate(impl_->state, units).Ranked(avoid);
}

std::vector<Slot> Scheduler::EligibleMachines(UnitId unit) const {
  const Candidate candidate(impl_->state, {&unit, 1});
  return impl_->state.machines.InOrder(candidate.Feasible(std::nullopt));
}

std::vector<UnitId> Scheduler::Conflicts(UnitId unit, Slot machine) const {
  return Candidate(impl_->state, {&unit, 1}).ConflictsAt(machine);
}

std::string Scheduler::RulesOut(UnitId unit, Slot machine, As as) const {
  using Kind = Candidate::Kind;
  if (!IsPresent(machine)) return std::string(kAbsentText);
  const Candidate candidate(impl_->state, {&unit, 1});
  for (const Candidate::Constraint& constraint : candidate.Constraints(std::nullopt)) {
    const bool is_room = constraint.kind == Kind::kCores || constraint.kind == Kind::kMemory;
    if (is_room && as == As::kResident) continue;
    if (constraint.kind == Kind::kCordon && as != As::kNewcomer) continue;
    if (IsFeature(constraint.key) && as == As::kResident) continue;
    if (!candidate.RulesOut(constraint, machine)) continue;
    Bits out;
    out.Set(machine);
    return impl_->TextOf(candidate, constraint, out);
  }
  return {};
}

}  // namespace fleet::scheduler
