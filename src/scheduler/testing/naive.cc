#include "scheduler/testing/naive.h"

#include <algorithm>
#include <memory>
#include <tuple>

#include "base/glob.h"
#include "model/features.h"
#include "model/unit_name.h"

namespace fleet::scheduler {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kLacksKey = int64_t{1} << 40;  // more than there can be instances

bool Matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatches(glob, name); });
}

// In millionths, rounded down.
int64_t Share(int64_t reserved, int64_t capacity) {
  if (reserved == 0) return 0;
  if (capacity == 0) return kMillion;
  return static_cast<int64_t>(std::min(static_cast<__int128>(reserved) * kMillion / capacity,
                                       static_cast<__int128>(2 * kMillion)));
}

}  // namespace

void Naive::SetMachine(const Machine& machine) {
  MachineState& state = machines_[NumberOf(machine.id)];
  state.machine = machine;
  state.present = true;
}

void Naive::RemoveMachine(std::string_view id) { machines_[NumberOf(id)].present = false; }

bool Naive::IsPresent(std::string_view id) const {
  const auto found = machine_numbers_.find(id);
  return found != machine_numbers_.end() && machines_[found->second].present;
}

std::vector<std::string> Naive::PresentMachines() const {
  std::vector<std::string> ids;
  for (const auto& [id, number] : machine_numbers_) {
    if (machines_[number].present) ids.push_back(id);
  }
  return ids;
}

void Naive::SetUnit(std::string_view name, const RequirementsPtr& requirements) {
  const auto [found, is_new] = unit_numbers_.try_emplace(std::string(name), units_.size());
  if (is_new) {
    const auto parsed = UnitName::Parse(name);
    const bool is_instance = parsed.ok() && parsed->is_instance();
    units_.push_back({std::string(name), is_instance ? parsed->TemplateName() : "", nullptr});
  }
  units_[found->second].requirements =
      requirements ? requirements : std::make_shared<const Requirements>();
}

void Naive::RemoveUnit(std::string_view name) {
  for (const auto& [machine, hold] : Places(name)) Unplace(name, machine);
  const auto found = unit_numbers_.find(name);
  units_[found->second].requirements = nullptr;
  unit_numbers_.erase(found);
}

std::vector<std::string> Naive::Units() const {
  std::vector<std::string> names;
  names.reserve(unit_numbers_.size());
  for (const auto& [name, number] : unit_numbers_) names.push_back(name);
  return names;
}

const Requirements& Naive::RequirementsOf(std::string_view unit) const {
  return *units_[unit_numbers_.find(unit)->second].requirements;
}

void Naive::Place(std::string_view unit, std::string_view machine, Hold hold) {
  Unplace(unit, machine);
  machines_[NumberOf(machine)].occupants.push_back({unit_numbers_.find(unit)->second, hold});
}

void Naive::Unplace(std::string_view unit, std::string_view machine) {
  const UnitNumber number = unit_numbers_.find(unit)->second;
  std::erase_if(machines_[NumberOf(machine)].occupants,
                [&](const Occupant& occupant) { return occupant.unit == number; });
}

std::map<std::string, Hold> Naive::Places(std::string_view unit) const {
  const UnitNumber number = unit_numbers_.find(unit)->second;
  std::map<std::string, Hold> places;
  for (const MachineState& state : machines_) {
    for (const Occupant& occupant : state.occupants) {
      if (occupant.unit == number) places[state.machine.id] = occupant.hold;
    }
  }
  return places;
}

std::optional<std::string> Naive::Choose(std::span<const std::string> units,
                                         std::optional<std::string> avoid) const {
  const Query query = Ask(units, std::move(avoid), As::kNewcomer);
  const MachineState* best = nullptr;
  Score best_score;
  const auto rank = [this](const MachineState& state, const Score& score) {
    return std::tuple<int64_t, int64_t, bool, const std::string&>(
        score.spread, placement_ == Placement::kPack ? -score.load : score.load, !score.runs_there,
        state.machine.id);
  };
  for (MachineNumber number = 0; number < machines_.size(); ++number) {
    const MachineState& state = machines_[number];
    if (!state.present || !Violations(query, number, true).empty()) continue;
    const Score score = ScoreOf(query, state);
    if (best == nullptr || rank(state, score) < rank(*best, best_score)) {
      best = &state;
      best_score = score;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->machine.id;
}

std::vector<std::string> Naive::Eligible(std::span<const std::string> units) const {
  const Query query = Ask(units, std::nullopt, As::kNewcomer);
  std::vector<std::string> ids;
  for (const auto& [id, number] : machine_numbers_) {
    if (machines_[number].present && Violations(query, number, true).empty()) ids.push_back(id);
  }
  return ids;
}

std::string Naive::RulesOut(const std::string& unit, std::string_view machine, As as) const {
  if (!IsPresent(machine)) return std::string(kAbsentText);
  const std::vector<Broken> broken =
      Violations(Ask({&unit, 1}, std::nullopt, as), machine_numbers_.find(machine)->second, true);
  return broken.empty() ? "" : TextOf(broken[0]);
}

std::vector<std::string> Naive::Conflicts(const std::string& unit, std::string_view machine) const {
  const Query query = Ask({&unit, 1}, std::nullopt, As::kResident);
  std::set<std::string> units;
  if (IsPresent(machine)) {
    for (const Broken& broken : Violations(query, machine_numbers_.find(machine)->second, false)) {
      units.insert(broken.units.begin(), broken.units.end());
    }
  }
  return {units.begin(), units.end()};
}

std::vector<Verdict> Naive::Judge(std::span<const std::string> units) const {
  const Query query = Ask(units, std::nullopt, As::kNewcomer);
  std::vector<Verdict> verdicts;
  for (const auto& [id, number] : machine_numbers_) {
    if (!machines_[number].present) continue;
    Verdict verdict = {.machine = id, .ruled_out_by = {}, .score = {}};
    for (const Broken& broken : Violations(query, number, false)) {
      verdict.ruled_out_by.push_back(TextOf(broken));
    }
    verdict.score = ScoreOf(query, machines_[number]);
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

Resources Naive::ReservedOn(std::string_view machine) const {
  const auto found = machine_numbers_.find(machine);
  return found == machine_numbers_.end() ? Resources{} : Reserved({}, machines_[found->second]);
}

Explanation Naive::Count(std::span<const std::string> units,
                         std::optional<std::string> avoid) const {
  const Query query = Ask(units, std::move(avoid), As::kNewcomer);
  struct Counted {
    Broken broken;
    RuledOut counts;
  };
  // By text, of which the units of conflicts are no part.
  std::map<std::string, Counted> by_text;
  Explanation explanation;
  for (MachineNumber number = 0; number < machines_.size(); ++number) {
    if (!machines_[number].present) continue;
    ++explanation.machines;
    const std::vector<Broken> all = Violations(query, number, false);
    for (const Broken& broken : all) {
      Counted& counted = by_text[broken.text];
      counted.broken.kind = broken.kind;
      counted.broken.text = broken.text;
      counted.broken.key = broken.key;
      counted.broken.units.insert(broken.units.begin(), broken.units.end());
      if (&broken == &all.front()) ++counted.counts.machines;
      ++counted.counts.in_all;
      if (all.size() == 1) ++counted.counts.alone;
    }
  }
  for (auto& [text, counted] : by_text) {
    counted.counts.constraint = text;
    for (const std::string& unit : counted.broken.units) {
      counted.counts.constraint += (unit == *counted.broken.units.begin() ? "" : ", ") + unit;
    }
    (counted.counts.machines > 0 ? explanation.ruled_out : explanation.also)
        .push_back(counted.counts);
  }
  return explanation;
}

Naive::Domain Naive::DomainOf(const MachineState& state, const std::string& key) {
  const auto value = state.machine.metadata.find(key);
  if (value == state.machine.metadata.end()) return {false, state.machine.id};
  return {true, value->second};
}

std::string Naive::TextOf(const Broken& broken) {
  const std::vector<std::string> units(broken.units.begin(), broken.units.end());
  if (broken.kind == Kind::kConflicts && !units.empty()) return ConflictsText(units);
  if (broken.kind == Kind::kConflictsWithin) return ConflictsWithinText(broken.key, units);
  return broken.text;
}

Naive::MachineNumber Naive::NumberOf(std::string_view machine) {
  const auto [found, is_new] = machine_numbers_.try_emplace(std::string(machine), machines_.size());
  if (is_new) machines_.push_back({.machine = {.id = std::string(machine)}});
  return found->second;
}

bool Naive::IsMember(const Query& query, UnitNumber unit) const {
  return std::find(query.members.begin(), query.members.end(), unit) != query.members.end();
}

bool Naive::Conflict(const Unit& a, const Unit& b) const {
  return Matches(a.requirements->conflicts, b.name) || Matches(b.requirements->conflicts, a.name);
}

Naive::Query Naive::Ask(std::span<const std::string> units, std::optional<std::string> avoid,
                        As as) const {
  Query query;
  query.as = as;
  for (const std::string& name : units) query.members.push_back(unit_numbers_.find(name)->second);
  if (avoid) {
    const auto found = machine_numbers_.find(*avoid);
    if (found != machine_numbers_.end()) query.avoid = found->second;
  }
  const auto within = [&](const Unit& a, const Unit& b, auto found) {
    for (const Within& one : a.requirements->conflicts_within) {
      if (GlobMatches(one.name, b.name)) found(one.key);
    }
    for (const Within& one : b.requirements->conflicts_within) {
      if (GlobMatches(one.name, a.name)) found(one.key);
    }
  };
  for (const UnitNumber member : query.members) {
    const Unit& unit = units_[member];
    query.need.milli_cores += unit.requirements->reserve_milli_cores;
    query.need.memory += unit.requirements->reserve_memory;
    for (const UnitNumber other : query.members) {
      if (other == member) continue;
      if (Conflict(unit, units_[other])) query.conflicts_inside = true;
      within(unit, units_[other], [&](const std::string&) { query.conflicts_inside = true; });
    }
    const std::string& spread_over = unit.requirements->spread_over;
    if (!spread_over.empty() && !unit.of_template.empty())
      query.spread.push_back({spread_over, {}});
  }
  for (const UnitNumber member : query.members) {
    for (const std::string& unit : units_[member].requirements->machine_of) query.followed[unit];
    for (const Within& one : units_[member].requirements->collocate_within) {
      query.followed[one.name];
    }
  }
  for (const std::string& name : units) query.followed.erase(name);  // they hold by themselves
  for (MachineNumber number = 0; number < machines_.size(); ++number) {
    const MachineState& state = machines_[number];
    for (const Occupant& occupant : state.occupants) {
      if (occupant.hold == Hold::kRuns && !query.followed.empty()) {
        const auto followed = query.followed.find(units_[occupant.unit].name);
        if (followed != query.followed.end()) {
          ++followed->second.placed;
          if (state.present) followed->second.present.push_back(number);
        }
      }
      if (!state.present || IsMember(query, occupant.unit)) continue;
      const Unit& other = units_[occupant.unit];
      size_t spread = 0;
      for (const UnitNumber member : query.members) {
        const Unit& unit = units_[member];
        within(unit, other, [&](const std::string& key) {
          query.conflicts_within[key][DomainOf(state, key)].insert(other.name);
        });
        if (unit.requirements->spread_over.empty() || unit.of_template.empty()) continue;
        auto& [key, by_value] = query.spread[spread++];
        const Domain domain = DomainOf(state, key);
        if (occupant.hold == Hold::kRuns && other.of_template == unit.of_template && domain.first) {
          ++by_value[domain.second];
        }
      }
    }
  }
  return query;
}

std::vector<Naive::Broken> Naive::Violations(const Query& query, MachineNumber number,
                                             bool first_only) const {
  const MachineState& state = machines_[number];
  std::vector<Broken> broken;
  const auto done = [&] { return first_only && !broken.empty(); };
  const auto add = [&](Broken one) { broken.push_back(std::move(one)); };
  const auto add_of = [&](UnitNumber member, Broken one) {
    if (query.members.size() > 1) one.text += " of " + units_[member].name;
    broken.push_back(std::move(one));
  };
  for (const UnitNumber member : query.members) {
    for (const auto& [key, values] : units_[member].requirements->metadata) {
      const Domain domain = DomainOf(state, key);
      if (domain.first && values.contains(domain.second)) continue;
      if (IsFeature(key) && query.as == As::kResident) continue;
      add_of(member,
             {.kind = Kind::kMetadata, .text = MetadataText(key, values), .units = {}, .key = key});
    }
  }
  if (done()) return broken;
  for (const UnitNumber member : query.members) {
    const std::string& id = units_[member].requirements->machine_id;
    if (id.empty() || id == state.machine.id) continue;
    add_of(member, {.kind = Kind::kMachineId,
                    .text = MachineIdText(id, IsPresent(id)),
                    .units = {},
                    .key = ""});
  }
  if (done()) return broken;
  for (const UnitNumber member : query.members) {
    for (const std::string& unit : units_[member].requirements->machine_of) {
      const auto found = query.followed.find(unit);
      if (found == query.followed.end()) continue;
      const std::vector<MachineNumber>& runs_on = found->second.present;
      if (std::find(runs_on.begin(), runs_on.end(), number) != runs_on.end()) continue;
      add_of(member, {.kind = Kind::kMachineOf,
                      .text = MachineOfText(unit, found->second.placed, runs_on.size()),
                      .units = {},
                      .key = ""});
    }
  }
  if (done()) return broken;
  for (const UnitNumber member : query.members) {
    for (const Within& one : units_[member].requirements->collocate_within) {
      const auto found = query.followed.find(one.name);
      if (found == query.followed.end()) continue;
      const std::vector<MachineNumber>& runs_on = found->second.present;
      if (std::any_of(runs_on.begin(), runs_on.end(), [&](MachineNumber other) {
            return DomainOf(machines_[other], one.key) == DomainOf(state, one.key);
          })) {
        continue;
      }
      add_of(member,
             {.kind = Kind::kCollocate,
              .text = CollocateText(one.key, one.name, found->second.placed, runs_on.size()),
              .units = {},
              .key = one.key});
    }
  }
  if (done()) return broken;
  std::set<std::string> conflicts;
  for (const Occupant& occupant : state.occupants) {
    if (IsMember(query, occupant.unit)) continue;
    for (const UnitNumber member : query.members) {
      if (Conflict(units_[member], units_[occupant.unit])) {
        conflicts.insert(units_[occupant.unit].name);
      }
    }
  }
  if (query.conflicts_inside) {
    add({.kind = Kind::kConflicts, .text = std::string(kSelfConflictText), .units = {}, .key = ""});
  } else if (!conflicts.empty()) {
    add({.kind = Kind::kConflicts, .text = "Conflicts with ", .units = conflicts, .key = ""});
  }
  if (done()) return broken;
  std::map<std::string, std::set<std::string>> within;
  for (const auto& [key, domains] : query.conflicts_within) {
    const auto found = domains.find(DomainOf(state, key));
    if (found != domains.end()) within[key].insert(found->second.begin(), found->second.end());
  }
  for (const auto& [key, units] : within) {
    add({.kind = Kind::kConflictsWithin,
         .text = "ConflictsWithin " + key + " with ",
         .units = units,
         .key = key});
  }
  if (done()) return broken;
  const Resources reserved = Reserved(query, state);
  const Resources& capacity = state.machine.capacity;
  if (query.as != As::kResident && query.need.milli_cores > 0 &&
      reserved.milli_cores + query.need.milli_cores > capacity.milli_cores) {
    add({.kind = Kind::kCpu,
         .text = ReserveCpuText(query.need.milli_cores),
         .units = {},
         .key = ""});
  }
  if (query.as != As::kResident && query.need.memory > 0 &&
      reserved.memory + query.need.memory > capacity.memory) {
    add({.kind = Kind::kMemory,
         .text = ReserveMemoryText(query.need.memory),
         .units = {},
         .key = ""});
  }
  if (query.as == As::kNewcomer && !state.machine.schedulable) {
    add({.kind = Kind::kCordon, .text = std::string(kNotSchedulableText), .units = {}, .key = ""});
  }
  if (query.avoid == number) {
    add({.kind = Kind::kAvoided, .text = std::string(kAvoidedText), .units = {}, .key = ""});
  }
  return broken;
}

Resources Naive::Reserved(const Query& query, const MachineState& state) const {
  Resources reserved;
  for (const Occupant& occupant : state.occupants) {
    if (IsMember(query, occupant.unit)) continue;
    reserved.milli_cores += units_[occupant.unit].requirements->reserve_milli_cores;
    reserved.memory += units_[occupant.unit].requirements->reserve_memory;
  }
  return reserved;
}

Score Naive::ScoreOf(const Query& query, const MachineState& state) const {
  Score score;
  for (const auto& [key, by_value] : query.spread) {
    const Domain domain = DomainOf(state, key);
    if (!domain.first) {
      score.spread += kLacksKey;
      continue;
    }
    if (!score.spread_value) score.spread_value = domain.second;
    const auto found = by_value.find(domain.second);
    if (found != by_value.end()) score.spread += found->second;
  }
  score.by_share = query.need.milli_cores > 0 || query.need.memory > 0;
  if (score.by_share) {
    const Resources reserved = Reserved(query, state);
    const Resources& capacity = state.machine.capacity;
    score.load = std::max(Share(reserved.milli_cores, capacity.milli_cores),
                          Share(reserved.memory, capacity.memory));
  }
  for (const Occupant& occupant : state.occupants) {
    const bool is_member = IsMember(query, occupant.unit);
    if (is_member && occupant.hold == Hold::kRuns) score.runs_there = true;
    if (!is_member && !score.by_share) score.load += units_[occupant.unit].requirements->weight;
  }
  return score;
}

}  // namespace fleet::scheduler
