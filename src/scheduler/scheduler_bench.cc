// Placements a second, over kinds of constraints and sizes of clusters. The workloads are
// workloads/*.case: the format of the golden cases (README.md), in which
//   {machines}, {units}   stand for numbers, 100 units for each machine; {units/N} for a part of
//   it; each N                repeats the next step N times, {n} being 0, 1, …; begin P of all
//   units the first P per cent are placed before the clock starts.
//
// Units are known to the scheduler (SetUnit) before the clock starts, as the engine knows them from
// their records; choosing and placing is measured, one unit after the other, of each kind in turn.
// `million` includes making machines and units known. CPU time, of the one thread there is.

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "fmt/format.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing/case_file.h"
#include "scheduler/testing/naive.h"

namespace fleet::scheduler {
namespace {

constexpr size_t kUnitsPerMachine = 100;
constexpr size_t kMillionMachines = 10'000;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "scheduler-bench: %s\n", why.c_str());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread
}

struct Workload {
  std::vector<Machine> machines;
  std::vector<CaseUnit> units;  // of each kind in turn
  size_t placed_before = 0;     // so many of the first are placed already
};

// The text with its numbers filled in and its repetitions written out.
std::string Expand(const std::string& text, size_t machines) {
  const size_t units = machines * kUnitsPerMachine;
  std::vector<std::pair<std::string, std::string>> numbers = {
      {"{machines}", std::to_string(machines)}, {"{units}", std::to_string(units)}};
  for (const size_t part : {2U, 100U, 1000U}) {
    numbers.emplace_back(fmt::format("{{units/{}}}", part),
                         std::to_string(std::max<size_t>(units / part, 1)));
  }
  std::vector<std::string> lines;
  std::istringstream stream(absl::StrReplaceAll(text, numbers));
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::string expanded;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with("each ")) {
      expanded += lines[i] + "\n";
      continue;
    }
    const size_t times = std::stoul(lines[i].substr(5));
    std::string step = lines[++i] + "\n";
    while (i + 1 < lines.size() && lines[i + 1].starts_with(" ")) step += lines[++i] + "\n";
    for (size_t n = 0; n < times; ++n) {
      expanded += absl::StrReplaceAll(step, {{"{n}", std::to_string(n)}});
    }
  }
  return expanded;
}

Workload ReadWorkload(const std::string& name, size_t machines) {
  const std::string path = fmt::format("{}/{}.case", SCHEDULER_WORKLOADS, name);
  std::ifstream stream(path);
  const std::string text((std::istreambuf_iterator<char>(stream)),
                         std::istreambuf_iterator<char>());
  const auto cases = ParseCases(Expand(text, machines), name);
  if (!cases.ok()) Fail(fmt::format("{}: {}", path, cases.status().ToString()));
  if (cases->size() != 1) Fail(fmt::format("{}: there is not one case in it", path));
  Workload workload;
  std::vector<std::vector<CaseUnit>> kinds;
  size_t percent_before = 0;
  for (const Step& step : (*cases)[0].steps) {
    if (step.words[0] == "begin") {
      percent_before = std::stoul(step.words.at(1));
    } else if (step.words[0] == "machines") {
      auto made = MachinesOf(step);
      if (!made.ok()) Fail(fmt::format("{}: {}", path, made.status().ToString()));
      workload.machines = *std::move(made);
    } else {
      auto units = UnitsOf(step);
      if (!units.ok()) Fail(fmt::format("{}: {}", path, units.status().ToString()));
      kinds.push_back(*std::move(units));
    }
  }
  for (size_t i = 0, added = 1; added > 0; ++i) {
    added = 0;
    for (std::vector<CaseUnit>& kind : kinds) {
      if (i >= kind.size()) continue;
      workload.units.push_back(std::move(kind[i]));
      ++added;
    }
  }
  workload.placed_before = workload.units.size() * percent_before / 100;
  return workload;
}

// The one that was asked for last is kept: a benchmark is called several times until it takes long
// enough to be measured.
const Workload& WorkloadOf(const std::string& name, size_t machines) {
  static std::string last;
  static Workload workload;
  const std::string wanted = fmt::format("{}/{}", name, machines);
  if (last != wanted) {
    workload = {};
    workload = ReadWorkload(name, machines);
    last = wanted;
  }
  return workload;
}

std::vector<UnitId> MakeKnown(const Workload& workload, Scheduler& scheduler) {
  for (const Machine& machine : workload.machines) scheduler.SetMachine(machine);
  std::vector<UnitId> units;
  units.reserve(workload.units.size());
  for (const CaseUnit& unit : workload.units) {
    units.push_back(scheduler.SetUnit(unit.name, unit.requirements));
  }
  return units;
}

// How many had a machine.
size_t PlaceAll(std::span<const UnitId> units, Scheduler& scheduler) {
  size_t placed = 0;
  for (const UnitId unit : units) {
    const auto machine = scheduler.Choose(unit);
    if (!machine) continue;
    scheduler.Place(unit, *machine, Hold::kRuns);
    ++placed;
  }
  return placed;
}

void BM_Place(benchmark::State& state, const std::string& constraint, size_t machines) {
  const Workload& workload = WorkloadOf(constraint, machines);
  size_t placed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto scheduler = std::make_unique<Scheduler>();
    const std::vector<UnitId> units = MakeKnown(workload, *scheduler);
    PlaceAll(std::span(units).first(workload.placed_before), *scheduler);
    state.ResumeTiming();
    placed += PlaceAll(std::span(units).subspan(workload.placed_before), *scheduler);
    state.PauseTiming();
    scheduler.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(placed));
  state.counters["units"] = static_cast<double>(workload.units.size() - workload.placed_before);
  state.counters["placed"] = static_cast<double>(placed) / static_cast<double>(state.iterations());
}

double MebibytesInUse() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd) / (1 << 20);
}

// A cluster with a million units of all kinds.
struct Million {
  Scheduler scheduler;
  std::vector<UnitId> units;
  size_t placed = 0;
};

std::unique_ptr<Million> MakeMillion(const Workload& workload) {
  auto million = std::make_unique<Million>();
  million->units = MakeKnown(workload, million->scheduler);
  million->placed = PlaceAll(million->units, million->scheduler);
  return million;
}

void BM_Million(benchmark::State& state) {
  const Workload& workload = WorkloadOf("mix", kMillionMachines);
  size_t placed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const double before = MebibytesInUse();
    state.ResumeTiming();
    const absl::Time start = absl::Now();
    const auto million = MakeMillion(workload);
    state.PauseTiming();
    state.counters["seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
    state.counters["memory_MiB"] = MebibytesInUse() - before;
    placed += million->placed;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(placed));
}

// The machines go, then each of their units is given another one. How many were.
size_t Lose(std::span<const Slot> machines, Scheduler& scheduler) {
  size_t placed = 0;
  for (const Slot machine : machines) scheduler.RemoveMachine(scheduler.MachineName(machine));
  for (const Slot machine : machines) {
    for (const UnitId unit : scheduler.UnitsOn(machine)) {
      const auto target = scheduler.Choose(unit, machine);
      if (!target) continue;
      scheduler.Place(unit, machine, Hold::kLeaves);
      scheduler.Place(unit, *target, Hold::kRuns);
      ++placed;
    }
  }
  return placed;
}

void BM_LoseMachine(benchmark::State& state) {
  const Workload& workload = WorkloadOf("mix", kMillionMachines);
  const auto million = MakeMillion(workload);
  size_t placed = 0;
  size_t next = 0;
  double longest = 0;
  for (auto _ : state) {
    // Every 37th, so that all zones and racks have their turn.
    const Slot machine = *million->scheduler.FindMachine(
        workload.machines[next++ * 37 % workload.machines.size()].id);
    const absl::Time start = absl::Now();
    placed += Lose({&machine, 1}, million->scheduler);
    longest = std::max(longest, absl::ToDoubleMilliseconds(absl::Now() - start));
  }
  state.SetItemsProcessed(static_cast<int64_t>(placed));
  state.counters["units"] = static_cast<double>(placed) / static_cast<double>(state.iterations());
  state.counters["longest_ms"] = longest;
}

void BM_LoseZone(benchmark::State& state) {
  const Workload& workload = WorkloadOf("mix", kMillionMachines);
  size_t placed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto million = MakeMillion(workload);
    std::vector<Slot> lost;
    for (const Machine& machine : workload.machines) {
      if (machine.metadata.at("zone") == "a") {
        lost.push_back(*million->scheduler.FindMachine(machine.id));
      }
    }
    state.ResumeTiming();
    const absl::Time start = absl::Now();
    placed += Lose(lost, million->scheduler);
    state.counters["seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
    state.PauseTiming();
    million.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(placed));
  state.counters["units"] = static_cast<double>(placed) / static_cast<double>(state.iterations());
}

// The reference: each unit looks at each machine. Of the same mix, as many as take some seconds.
void BM_Naive(benchmark::State& state, size_t machines, size_t units) {
  const Workload& workload = WorkloadOf("mix", machines);
  size_t placed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Naive naive;
    for (const Machine& machine : workload.machines) naive.SetMachine(machine);
    for (size_t i = 0; i < units; ++i) {
      naive.SetUnit(workload.units[i].name, workload.units[i].requirements);
    }
    state.ResumeTiming();
    for (size_t i = 0; i < units; ++i) {
      const std::string& unit = workload.units[i].name;
      const auto machine = naive.Choose({&unit, 1});
      if (!machine) continue;
      naive.Place(unit, *machine, Hold::kRuns);
      ++placed;
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(placed));
}

void RegisterAll() {
  for (const char* constraint : {"none", "metadata", "conflicts", "globs", "spread3", "spread50",
                                 "reserve90", "within", "mix", "mix_unschedulable"}) {
    for (const size_t machines : {100U, 1000U, 10'000U}) {
      benchmark::RegisterBenchmark(fmt::format("place/{}/{}", constraint, machines).c_str(),
                                   [constraint, machines](benchmark::State& state) {
                                     BM_Place(state, constraint, machines);
                                   })
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::RegisterBenchmark("million", BM_Million)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("lose_machine", BM_LoseMachine)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("lose_zone", BM_LoseZone)->Unit(benchmark::kMillisecond);
  for (const auto& [machines, units] :
       {std::pair<size_t, size_t>{100, 5000}, {1000, 1000}, {10'000, 200}}) {
    benchmark::RegisterBenchmark(fmt::format("naive/{}", machines).c_str(),
                                 [machines = machines, units = units](benchmark::State& state) {
                                   BM_Naive(state, machines, units);
                                 })
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace fleet::scheduler

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  fleet::scheduler::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
