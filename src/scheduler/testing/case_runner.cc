#include "scheduler/testing/case_runner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/glob.h"
#include "base/status.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace fleet::scheduler {
namespace {

absl::Status Invalid(const Step& step, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("line {}: {}", step.line, why));
}

std::string Joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
}

// "12.5%" of 125,000 millionths.
std::string Percent(int64_t millionths) {
  std::string text = fmt::format("{}.{:04}", millionths / 10'000, millionths % 10'000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + "%";
}

std::string Counted(int count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string Line(const RuledOut& by) {
  return fmt::format("{}: {}, {} in all, {} alone", by.constraint,
                     Counted(by.machines, "machine", "machines"), by.in_all, by.alone);
}

}  // namespace

absl::StatusOr<CaseRunner::Lines> CaseRunner::Run(const Step& step) {
  const std::string& verb = step.words[0];
  if (verb == "fill") return Fill();
  if (verb == "rebalance") return Rebalance(step);
  if (step.words.size() < 2) return Invalid(step, fmt::format("{} what?", verb));
  if (verb == "choose") return Choose(step);
  if (verb == "start") return Start(step);
  if (verb == "together" || verb == "start-together") return Together(step);
  if (verb == "lose") return Lose(step);
  if (verb == "tally") return Tally(step);
  for (const char* asks :
       {"eligible", "check", "conflicts", "explain", "judge", "preempt", "reserved", "where"}) {
    if (verb == asks) return Ask(step);
  }
  return Change(step);
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Change(const Step& step) {
  const std::string& verb = step.words[0];
  const std::string& name = step.words[1];
  if (verb == "placement") {
    if (name != "spread" && name != "pack") return Invalid(step, "placement spread or pack");
    if (!units_.empty() || scheduler_->present_machines() > 0) {
      return Invalid(step, "placement stands at the beginning of a case");
    }
    scheduler_ =
        std::make_unique<Scheduler>(name == "pack" ? Placement::kPack : Placement::kSpread);
  } else if (verb == "machine" || verb == "machines") {
    ASSIGN_OR_RETURN(const std::vector<Machine> machines, MachinesOf(step));
    for (const Machine& machine : machines) {
      scheduler_->SetMachine(machine);
      machines_[machine.id] = machine;
    }
  } else if (verb == "remove") {
    scheduler_->RemoveMachine(name);
    machines_.erase(name);
  } else if (verb == "units") {
    ASSIGN_OR_RETURN(const std::vector<CaseUnit> units, UnitsOf(step));
    for (const CaseUnit& unit : units) {
      scheduler_->SetUnit(unit.name, unit.requirements);
      units_.insert(unit.name);
    }
  } else if (verb == "unit") {
    return PlaceUnit(step);
  } else if (verb == "unplace") {
    ASSIGN_OR_RETURN(const UnitId unit, Unit(name, ""));
    ASSIGN_OR_RETURN(const Slot machine, MachineOf(step, 2));
    scheduler_->Unplace(unit, machine);
  } else if (verb == "destroy") {
    ASSIGN_OR_RETURN(const UnitId unit, Unit(name, ""));
    scheduler_->RemoveUnit(unit);
    units_.erase(name);
  } else if (verb == "fixed") {
    fixed_.insert(step.words.begin() + 1, step.words.end());
  } else {
    return Invalid(step, fmt::format("unknown step {}", verb));
  }
  return Lines{};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::PlaceUnit(const Step& step) {
  ASSIGN_OR_RETURN(const UnitId unit, Unit(step.words[1], step.x_fleet));
  for (size_t i = 2; i < step.words.size(); i += 2) {
    const std::string& how = step.words[i];
    if ((how != "on" && how != "leaving") || i + 1 == step.words.size()) {
      return Invalid(step, "write unit NAME [on ID | leaving ID]…");
    }
    scheduler_->Place(unit, scheduler_->SlotOf(step.words[i + 1]),
                      how == "on" ? Hold::kRuns : Hold::kLeaves);
  }
  return Lines{};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Choose(const Step& step) {
  ASSIGN_OR_RETURN(const Asked asked, Read(step, 1));
  if (asked.units.size() != 1) return Invalid(step, "choose one unit; several: together");
  const auto chosen = scheduler_->Choose(asked.units[0], asked.avoid);
  if (!chosen) return Lines{"none", scheduler_->Explain(asked.units, asked.avoid).Summary()};
  return Lines{scheduler_->MachineName(*chosen)};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Start(const Step& step) {
  ASSIGN_OR_RETURN(const Asked asked, Read(step, 1));
  if (asked.units.size() > 1) {
    if (asked.avoid) return Invalid(step, "only one unit can avoid a machine");
    return PlaceEach(asked.units);
  }
  ASSIGN_OR_RETURN(const Lines answer, Choose(step));
  if (const auto machine = scheduler_->FindMachine(answer[0]); machine && answer.size() == 1) {
    scheduler_->Place(asked.units[0], *machine, Hold::kRuns);
  }
  return answer;
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Together(const Step& step) {
  ASSIGN_OR_RETURN(const Asked asked, Read(step, 1));
  const auto chosen = scheduler_->ChooseTogether(asked.units, asked.avoid);
  if (!chosen) return Lines{"none", scheduler_->Explain(asked.units, asked.avoid).Summary()};
  if (step.words[0] == "start-together") {
    for (const UnitId unit : asked.units) scheduler_->Place(unit, *chosen, Hold::kRuns);
  }
  return Lines{scheduler_->MachineName(*chosen)};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Fill() {
  std::vector<UnitId> units;
  for (const std::string& name : units_) {
    const UnitId unit = *scheduler_->FindUnit(name);
    if (!scheduler_->RequirementsOf(unit).global && scheduler_->RunsOn(unit).empty()) {
      units.push_back(unit);
    }
  }
  PlaceEach(units);
  const auto placed = std::count_if(units.begin(), units.end(),
                                    [&](UnitId unit) { return !scheduler_->RunsOn(unit).empty(); });
  const auto waiting = std::ssize(units) - placed;
  if (waiting == 0) return Lines{fmt::format("{} placed", placed)};
  return Lines{fmt::format("{} placed, {} {}", placed, waiting, waiting == 1 ? "waits" : "wait")};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Lose(const Step& step) {
  std::vector<UnitId> taken;
  for (size_t i = 1; i < step.words.size(); ++i) {
    ASSIGN_OR_RETURN(const Slot machine, MachineOf(step, i));
    for (const UnitId unit : scheduler_->UnitsOn(machine)) {
      const std::vector<Slot> runs_on = scheduler_->RunsOn(unit);
      if (std::find(runs_on.begin(), runs_on.end(), machine) != runs_on.end()) {
        taken.push_back(unit);
      }
      scheduler_->Unplace(unit, machine);
    }
    scheduler_->RemoveMachine(step.words[i]);
    machines_.erase(step.words[i]);
  }
  std::erase_if(taken, [&](UnitId unit) {
    return scheduler_->RequirementsOf(unit).global || !scheduler_->RunsOn(unit).empty();
  });
  return PlaceEach(std::move(taken));
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Rebalance(const Step& step) {
  size_t max_moves = std::numeric_limits<size_t>::max();
  if (step.words.size() > 1 && !absl::SimpleAtoi(step.words[1], &max_moves)) {
    return Invalid(step, "write rebalance [MAX]");
  }
  Lines lines;
  for (const Move& move :
       scheduler_->Rebalance(max_moves, [this](UnitId unit) { return MayMove(unit); })) {
    scheduler_->Unplace(move.unit, move.from);
    scheduler_->Place(move.unit, move.to, Hold::kRuns);
    lines.push_back(fmt::format("{} {} → {}", scheduler_->UnitName(move.unit),
                                scheduler_->MachineName(move.from),
                                scheduler_->MachineName(move.to)));
  }
  if (lines.empty()) lines.emplace_back("none");
  return lines;
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Ask(const Step& step) {
  const std::string& verb = step.words[0];
  if (verb == "reserved") {
    ASSIGN_OR_RETURN(const Slot machine, MachineOf(step, 1));
    const Resources reserved = scheduler_->ReservedOn(machine);
    return Lines{fmt::format("cpu={} memory={}", FormatCores(reserved.milli_cores),
                             FormatBytes(reserved.memory))};
  }
  if (verb == "check" || verb == "conflicts") {
    ASSIGN_OR_RETURN(const UnitId unit, Unit(step.words[1], step.x_fleet));
    if (step.words.size() < 3) return Invalid(step, "on which machine?");
    const Slot machine = scheduler_->SlotOf(step.words[2]);  // which may be absent
    if (verb == "conflicts") return Lines{Names(scheduler_->Conflicts(unit, machine))};
    const std::string& as = step.words.back();
    const std::string why = scheduler_->RulesOut(unit, machine,
                                                 as == "newcomer"  ? As::kNewcomer
                                                 : as == "changed" ? As::kChanged
                                                                   : As::kResident);
    return Lines{why.empty() ? "ok" : why};
  }
  ASSIGN_OR_RETURN(const Asked asked, Read(step, 1));
  if (verb == "explain") return Explain(asked);
  if (verb == "judge") return Judge(asked.units);
  if (verb == "preempt") return Preempt(asked.units);
  std::vector<std::string> ids;
  const UnitId unit = asked.units.at(0);
  for (const Slot machine :
       verb == "where" ? scheduler_->RunsOn(unit) : scheduler_->EligibleMachines(unit)) {
    ids.push_back(scheduler_->MachineName(machine));
  }
  return Lines{Joined(ids)};
}

absl::StatusOr<CaseRunner::Lines> CaseRunner::Tally(const Step& step) const {
  const std::string& key = step.words[1];
  const std::string glob = step.words.size() > 2 ? step.words[2] : "*";
  std::map<std::string, int> by_value;
  std::optional<int> without;
  for (const auto& [id, machine] : machines_) {
    const auto count =
        static_cast<int>(std::count_if(units_.begin(), units_.end(), [&](const std::string& name) {
          const std::vector<Slot> runs_on = scheduler_->RunsOn(*scheduler_->FindUnit(name));
          return GlobMatches(glob, name) && std::find(runs_on.begin(), runs_on.end(),
                                                      scheduler_->FindMachine(id)) != runs_on.end();
        }));
    const auto value = machine.metadata.find(key);
    if (key == "machine") {
      by_value[id] += count;
    } else if (value != machine.metadata.end()) {
      by_value[value->second] += count;
    } else {
      without = without.value_or(0) + count;
    }
  }
  std::vector<std::string> counts;
  counts.reserve(by_value.size() + 1);
  for (const auto& [value, count] : by_value) counts.push_back(fmt::format("{} {}", value, count));
  if (without) counts.push_back(fmt::format("without {}", *without));
  return Lines{fmt::format("{}", fmt::join(counts, ", "))};
}

CaseRunner::Lines CaseRunner::Explain(const Asked& asked) const {
  const Explanation explanation = scheduler_->Explain(asked.units, asked.avoid);
  Lines lines = {explanation.Summary()};
  for (const RuledOut& by : explanation.ruled_out) lines.push_back(Line(by));
  for (const RuledOut& by : explanation.also) lines.push_back(Line(by));
  for (const Remedy& remedy : explanation.remedies) lines.push_back(remedy.text);
  if (!explanation.conflicts.empty()) {
    lines.push_back(fmt::format("conflicts: {}", fmt::join(explanation.conflicts, " ")));
  }
  lines.insert(lines.end(), explanation.notes.begin(), explanation.notes.end());
  return lines;
}

CaseRunner::Lines CaseRunner::Judge(const std::vector<UnitId>& units) const {
  const bool spreads = std::any_of(units.begin(), units.end(), [&](UnitId unit) {
    return !scheduler_->RequirementsOf(unit).spread_over.empty();
  });
  Lines lines;
  for (const Verdict& verdict : scheduler_->Judge(units)) {
    if (!verdict.ruled_out_by.empty()) {
      lines.push_back(
          fmt::format("{}: {}", verdict.machine, fmt::join(verdict.ruled_out_by, "; ")));
      continue;
    }
    const Score& score = verdict.score;
    std::string line =
        fmt::format("{}: eligible load={}", verdict.machine,
                    score.by_share ? Percent(score.load) : fmt::format("{}", score.load));
    if (spreads) {
      line += score.spread_value ? fmt::format(" spread={}:{}", *score.spread_value, score.spread)
                                 : " spread=last";
    }
    if (score.runs_there) line += " runs";
    lines.push_back(std::move(line));
  }
  return lines;
}

CaseRunner::Lines CaseRunner::Preempt(const std::vector<UnitId>& units) const {
  const auto preemption = scheduler_->Preempt(units, [this](UnitId unit) { return MayMove(unit); });
  if (!preemption) return {"none"};
  std::vector<std::string> victims;
  for (const Victim& victim : preemption->victims) {
    victims.push_back(fmt::format(
        "{} → {}", scheduler_->UnitName(victim.unit),
        victim.target ? scheduler_->MachineName(*victim.target) : std::string("waits")));
  }
  return {fmt::format("{}: {}", scheduler_->MachineName(preemption->machine),
                      fmt::join(victims, ", "))};
}

absl::StatusOr<UnitId> CaseRunner::Unit(const std::string& name, const std::string& x_fleet) {
  if (const auto known = scheduler_->FindUnit(name); known && x_fleet.empty()) return *known;
  ASSIGN_OR_RETURN(const CaseUnit unit, UnitOf(name, x_fleet));
  units_.insert(name);
  return scheduler_->SetUnit(name, unit.requirements);
}

absl::StatusOr<CaseRunner::Asked> CaseRunner::Read(const Step& step, size_t first) {
  Asked asked;
  for (size_t i = first; i < step.words.size(); ++i) {
    if (step.words[i] == "avoiding") {
      ASSIGN_OR_RETURN(asked.avoid, MachineOf(step, i + 1));
      break;
    }
    ASSIGN_OR_RETURN(const UnitId unit, Unit(step.words[i], step.x_fleet));
    asked.units.push_back(unit);
  }
  if (asked.units.empty()) return Invalid(step, "which unit?");
  return asked;
}

absl::StatusOr<Slot> CaseRunner::MachineOf(const Step& step, size_t word) const {
  if (word >= step.words.size()) return Invalid(step, "which machine?");
  const auto machine = scheduler_->FindMachine(step.words[word]);
  if (!machine) return Invalid(step, fmt::format("there is no machine {}", step.words[word]));
  return *machine;
}

std::string CaseRunner::Names(const std::vector<UnitId>& units) const {
  std::vector<std::string> names;
  names.reserve(units.size());
  for (const UnitId unit : units) names.push_back(scheduler_->UnitName(unit));
  return Joined(names);
}

void CaseRunner::InOrderOfPriority(std::vector<UnitId>& units) const {
  std::sort(units.begin(), units.end(), [this](UnitId a, UnitId b) {
    const int64_t of_a = scheduler_->RequirementsOf(a).priority;
    const int64_t of_b = scheduler_->RequirementsOf(b).priority;
    return of_a != of_b ? of_a > of_b : scheduler_->UnitName(a) < scheduler_->UnitName(b);
  });
}

CaseRunner::Lines CaseRunner::PlaceEach(std::vector<UnitId> units) {
  InOrderOfPriority(units);
  Lines lines;
  for (const UnitId unit : units) {
    const std::string& name = scheduler_->UnitName(unit);
    if (const auto chosen = scheduler_->Choose(unit)) {
      scheduler_->Place(unit, *chosen, Hold::kRuns);
      lines.push_back(fmt::format("{} → {}", name, scheduler_->MachineName(*chosen)));
    } else {
      lines.push_back(fmt::format("{} waits: {}", name,
                                  scheduler_->Explain(std::vector<UnitId>{unit}).Summary()));
    }
  }
  if (lines.empty()) lines.emplace_back("none");
  return lines;
}

bool IsAsExpected(const std::vector<std::string>& answers,
                  const std::vector<std::string>& expected) {
  size_t compared = expected.size();
  bool whole = true;
  if (!expected.empty() && (expected.back() == "…" || expected.back() == "none")) {
    whole = false;  // what follows is not looked at
    if (expected.back() == "…") --compared;
  }
  if (answers.size() < compared || (whole && answers.size() > compared)) return false;
  for (size_t i = 0; i < compared; ++i) {
    const bool waits = expected[i].ends_with(" waits");
    if (answers[i] != expected[i] && !(waits && answers[i].starts_with(expected[i] + ": "))) {
      return false;
    }
  }
  return true;
}

}  // namespace fleet::scheduler
