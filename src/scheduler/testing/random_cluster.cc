#include "scheduler/testing/random_cluster.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <set>

#include "fmt/format.h"
#include "model/features.h"
#include "model/requirements.h"

namespace fleet::scheduler {
namespace {

template <typename T>
std::vector<T> Sorted(const std::set<T>& values) {
  return {values.begin(), values.end()};
}

std::string AnyGlob(Tape& tape) {
  static const std::vector<std::string> globs = {
      "none*",   "app.service", "web@*", "db.?.service",  "web@[12].service",
      "*.timer", "w*e",         "db.1*", "web@1.service", "[^dw]*",
      "*"};
  return tape.Of(globs);
}

std::string AnyKey(Tape& tape) {
  static const std::vector<std::string> keys = {"zone", "rack", "disk", "nokey"};
  return tape.Of(keys);
}

std::string TextOf(const Within& within) { return fmt::format("{}={}", within.key, within.name); }

// What a golden case says of a unit, and of a machine.
std::string KeysOf(const Requirements& r) {
  std::string keys;
  const auto add = [&](std::string_view key, const auto& value) {
    keys += fmt::format("  {}={}\n", key, value);
  };
  for (const auto& [key, values] : r.metadata) {
    for (const std::string& value : values)
      add("MachineMetadata", fmt::format("{}={}", key, value));
  }
  if (!r.machine_id.empty()) add("MachineID", r.machine_id);
  for (const std::string& unit : r.machine_of) add("MachineOf", unit);
  for (const Within& one : r.collocate_within) add("CollocateWithin", TextOf(one));
  for (const std::string& glob : r.conflicts) add("Conflicts", glob);
  for (const Within& one : r.conflicts_within) add("ConflictsWithin", TextOf(one));
  if (!r.spread_over.empty()) add("SpreadOver", r.spread_over);
  if (r.reserve_milli_cores > 0) add("ReserveCPU", FormatCores(r.reserve_milli_cores));
  if (r.reserve_memory > 0) add("ReserveMemory", r.reserve_memory);
  if (r.weight != 1) add("Weight", r.weight);
  if (r.priority != 0) add("Priority", r.priority);
  if (r.global) add("Global", "true");
  return keys;
}

std::string StepOf(const Machine& machine) {
  std::string step = "machine " + machine.id;
  for (const auto& [key, value] : machine.metadata) step += fmt::format(" {}={}", key, value);
  step += fmt::format(" cpu={} memory={}", FormatCores(machine.capacity.milli_cores),
                      machine.capacity.memory);
  return step + (machine.schedulable ? "\n" : " cordoned\n");
}

}  // namespace

Tape TapeOf(uint32_t seed, size_t length) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(length);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() & 0xff);
  return Tape(std::move(bytes));
}

void Both::SetMachine(const Machine& machine) {
  story_ += StepOf(machine);
  scheduler.SetMachine(machine);
  naive.SetMachine(machine);
  std::erase_if(machines_, [&](const Machine& other) { return other.id == machine.id; });
  machines_.push_back(machine);
}

void Both::RemoveMachine(const std::string& id) {
  story_ += fmt::format("remove {}\n", id);
  scheduler.RemoveMachine(id);
  naive.RemoveMachine(id);
  std::erase_if(machines_, [&](const Machine& other) { return other.id == id; });
}

void Both::SetUnit(const std::string& name, const RequirementsPtr& requirements) {
  story_ += fmt::format("unit {}\n{}", name, KeysOf(*requirements));
  scheduler.SetUnit(name, requirements);
  naive.SetUnit(name, requirements);
}

void Both::RemoveUnit(const std::string& name) {
  story_ += fmt::format("destroy {}\n", name);
  scheduler.RemoveUnit(IdOf(name));
  naive.RemoveUnit(name);
}

void Both::Place(const std::string& unit, const std::string& machine, Hold hold) {
  story_ += fmt::format("unit {} {} {}\n", unit, hold == Hold::kRuns ? "on" : "leaving", machine);
  scheduler.Place(IdOf(unit), scheduler.SlotOf(machine), hold);
  naive.Place(unit, machine, hold);
}

void Both::Unplace(const std::string& unit, const std::string& machine) {
  story_ += fmt::format("unplace {} {}\n", unit, machine);
  if (const auto slot = scheduler.FindMachine(machine)) scheduler.Unplace(IdOf(unit), *slot);
  naive.Unplace(unit, machine);
}

std::vector<UnitId> Both::IdsOf(std::span<const std::string> units) const {
  std::vector<UnitId> ids;
  for (const std::string& unit : units) ids.push_back(IdOf(unit));
  return ids;
}

std::vector<std::string> Both::NamesOf(std::span<const UnitId> units) const {
  std::vector<std::string> names;
  for (const UnitId unit : units) names.push_back(scheduler.UnitName(unit));
  return names;
}

std::vector<std::string> Both::MachineNamesOf(std::span<const Slot> machines) const {
  std::vector<std::string> names;
  for (const Slot machine : machines) names.push_back(scheduler.MachineName(machine));
  return names;
}

std::optional<std::string> Both::NameOf(std::optional<Slot> machine) const {
  if (!machine) return std::nullopt;
  return scheduler.MachineName(*machine);
}

std::optional<std::string> Both::Choose(const std::string& unit) const {
  return NameOf(scheduler.Choose(IdOf(unit)));
}

std::optional<std::string> Both::ChooseBoth(const std::string& unit) {
  const auto chosen = Choose(unit);
  auto expected = naive.Choose({&unit, 1});
  story_ += fmt::format("choose {}\n  = {}\n", unit, expected.value_or("none"));
  if (chosen != expected) {
    mismatches_.push_back(fmt::format("choose {}: {} instead of {}", unit, chosen.value_or("none"),
                                      expected.value_or("none")));
  }
  return expected;
}

Scheduler Both::Rebuilt() const {
  Scheduler rebuilt(placement_);
  const std::vector<std::string> units = naive.Units();
  for (auto name = units.rbegin(); name != units.rend(); ++name) {
    const auto requirements = std::make_shared<const Requirements>(naive.RequirementsOf(*name));
    const UnitId unit = rebuilt.SetUnit(*name, requirements);
    for (const auto& [machine, hold] : naive.Places(*name)) {
      rebuilt.Place(unit, rebuilt.SlotOf(machine), hold);
    }
  }
  std::vector<Machine> machines = machines_;
  std::sort(machines.begin(), machines.end(),
            [](const Machine& a, const Machine& b) { return a.id < b.id; });
  for (const Machine& machine : machines) rebuilt.SetMachine(machine);
  return rebuilt;
}

World SmallWorld() {
  World world;
  world.units = {"app.service",   "db.1.service",  "db.2.service",   "db.10.service",
                 "web@1.service", "web@2.service", "web@10.service", "job@1.service",
                 "job@2.service", "web.timer",     "webx.service",   "agent.service"};
  for (int i = 0; i < 8; ++i) world.machines.push_back(fmt::format("m{:03}", i * 37 % 251));
  world.zones = {"a", "b", "c"};
  return world;
}

World CrowdedWorld() {
  World world = SmallWorld();
  world.capacity = 4;
  world.one_reserves = 1;
  return world;
}

World LargeWorld() {
  World world;
  for (int i = 0; i < 60; ++i) {
    world.units.push_back(fmt::format("web@{}.service", i));
    world.units.push_back(fmt::format("db.{}.service", i));
    world.units.push_back(fmt::format("app{}.timer", i));
  }
  for (int i = 0; i < 400; ++i) world.machines.push_back(fmt::format("m{:05}", i * 7919 % 10007));
  for (int i = 0; i < 12; ++i) world.zones.push_back(fmt::format("z{}", i));
  return world;
}

Machine AnyMachine(Tape& tape, const World& world, std::string id) {
  Machine machine = {.id = std::move(id)};
  if (!tape.OneIn(5)) machine.metadata["zone"] = tape.Of(world.zones);
  if (const size_t rack = tape.Below(3); rack > 0) {
    machine.metadata["rack"] = fmt::format("{}", rack);
  }
  if (tape.OneIn(3)) machine.metadata["disk"] = "ssd";
  if (!tape.OneIn(6)) machine.metadata = WithFeatures(std::move(machine.metadata), {"isolation"});
  machine.schedulable = !tape.OneIn(7);
  // Small numbers, so that units often fit exactly, or not by one.
  machine.capacity = {static_cast<int64_t>(world.capacity - tape.Below(world.capacity + 1)),
                      static_cast<int64_t>(world.capacity - tape.Below(world.capacity + 1))};
  return machine;
}

RequirementsPtr AnyRequirements(Tape& tape, const World& world) {
  auto requirements = std::make_shared<Requirements>();
  Requirements& r = *requirements;
  if (tape.OneIn(4)) {
    std::set<std::string> globs;
    for (size_t i = 0; i <= tape.Below(3); ++i) globs.insert(AnyGlob(tape));
    r.conflicts = Sorted(globs);
  }
  if (tape.OneIn(5)) {
    r.metadata["zone"].insert(tape.Of(world.zones));
    if (tape.OneIn(2)) r.metadata["zone"].insert(tape.Of(world.zones));
    if (tape.OneIn(4)) r.metadata["disk"].insert("ssd");
  }
  r.stops_on_isolation = tape.OneIn(12);
  RequireFeatures(r);
  if (tape.OneIn(16)) r.machine_id = tape.Of(world.machines);
  if (tape.OneIn(10)) r.machine_of = {tape.Of(world.units)};
  if (tape.OneIn(6)) {
    std::set<Within> within;
    for (size_t i = 0; i <= tape.Below(2); ++i) within.insert({AnyKey(tape), AnyGlob(tape)});
    r.conflicts_within = Sorted(within);
  }
  if (tape.OneIn(10)) r.collocate_within = {{AnyKey(tape), tape.Of(world.units)}};
  if (tape.OneIn(3)) r.spread_over = AnyKey(tape);
  if (tape.OneIn(world.one_reserves)) {
    r.reserve_milli_cores = static_cast<int64_t>(1 + tape.Below(world.capacity / 2));
  }
  if (tape.OneIn(world.one_reserves)) {
    r.reserve_memory = static_cast<int64_t>(1 + tape.Below(world.capacity / 2));
  }
  if (tape.OneIn(4)) r.weight = static_cast<int64_t>(1 + tape.Below(5));
  if (tape.OneIn(2)) r.priority = static_cast<int64_t>(tape.Below(4)) - 1;
  r.global = tape.OneIn(16);
  return requirements;
}

void HappenOnce(Tape& tape, const World& world, Both& both) {
  const std::string& unit = tape.Of(world.units);
  const std::string& machine = tape.Of(world.machines);
  switch (tape.Below(16)) {
    case 0:
      break;
    case 1:
    case 2:
    case 3:
    case 4: {  // as the engine does
      if (both.naive.RequirementsOf(unit).global) {
        for (const std::string& id : both.naive.Eligible({&unit, 1})) {
          both.Place(unit, id, Hold::kRuns);
        }
      } else if (const auto chosen = both.ChooseBoth(unit)) {
        for (const auto& [id, hold] : both.naive.Places(unit)) {
          if (hold == Hold::kRuns && id != *chosen) both.Place(unit, id, Hold::kLeaves);
        }
        both.Place(unit, *chosen, Hold::kRuns);
      }
      break;
    }
    case 5:
    case 6:
      both.SetMachine(AnyMachine(tape, world, machine));
      break;
    case 7:
      both.RemoveMachine(machine);
      break;
    case 8:
    case 9:
      both.Place(unit, machine, tape.OneIn(3) ? Hold::kLeaves : Hold::kRuns);
      break;
    case 10:
    case 11:
      both.Unplace(unit, machine);
      break;
    case 12: {  // what left has gone
      for (const auto& [id, hold] : both.naive.Places(unit)) {
        if (hold == Hold::kLeaves) both.Unplace(unit, id);
      }
      break;
    }
    case 13:
    case 14:
      both.SetUnit(unit, AnyRequirements(tape, world));
      break;
    default:  // destroyed, and made again
      both.RemoveUnit(unit);
      both.SetUnit(unit, AnyRequirements(tape, world));
      break;
  }
}

Both Story(Tape tape, const World& world, bool with_machines) {
  Both both(tape.OneIn(4) ? Placement::kPack : Placement::kSpread);
  for (const std::string& unit : world.units) both.SetUnit(unit, AnyRequirements(tape, world));
  if (with_machines) {
    for (const std::string& id : world.machines) both.SetMachine(AnyMachine(tape, world, id));
  }
  while (!tape.AtEnd()) HappenOnce(tape, world, both);
  return both;
}

std::vector<std::string> AnyGroup(Tape& tape, const Both& both) {
  std::vector<std::string> units = both.naive.Units();
  std::erase_if(units,
                [&](const std::string& unit) { return both.naive.RequirementsOf(unit).global; });
  std::vector<std::string> group;
  for (size_t left = 1 + tape.Below(4); left > 0 && !units.empty(); --left) {
    const size_t at = tape.Below(units.size());
    group.push_back(units[at]);
    units.erase(units.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return group;
}

std::vector<std::vector<std::string>> UnitsAndGroups(Tape& tape, const Both& both, int groups) {
  const std::vector<std::string> units = both.naive.Units();
  std::vector<std::vector<std::string>> all;
  all.reserve(units.size() + static_cast<size_t>(groups));
  for (const std::string& unit : units) all.push_back({unit});
  for (int i = 0; i < groups; ++i) {
    std::vector<std::string> group = AnyGroup(tape, both);
    if (!group.empty()) all.push_back(std::move(group));
  }
  return all;
}

}  // namespace fleet::scheduler
