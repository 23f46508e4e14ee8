// fleet-sim: runs seeds. See --help.

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/mute.h"
#include "fmt/core.h"
#include "sim/mutants.h"
#include "sim/report.h"
#include "sim/simulation.h"

namespace fleet::sim {
namespace {

// So many seeds make each kind of fault at least once.
constexpr uint64_t kEnoughForAllKinds = 1000;

struct Arguments {
  RunOptions run;
  bool has_seed = false;
  std::string seeds;
  bool trace = false;
  bool log = false;
  std::string without;
  bool list_mutants = false;
  bool table = false;
  unsigned jobs = 0;
};

int RunSeed(RunOptions options, bool trace) {
  if (trace) options.trace = [](const std::string& line) { fmt::print("{}\n", line); };
  const RunResult result = RunOnce(options);
  for (const Violation& violation : result.violations) {
    fmt::print("seed {}: {}: {}\n", options.seed, violation.invariant, violation.what);
  }
  Totals totals;
  totals.Add(result);
  fmt::print("trace {:016x}\n{}\n", result.trace_hash, totals.LastLine());
  return result.violations.empty() ? 0 : 1;
}

// One process for each core: each runs every n-th seed, and hands its totals on through a pipe.
int RunSeeds(const RunOptions& options, uint64_t first, uint64_t last, unsigned jobs, bool table) {
  std::vector<std::pair<pid_t, FILE*>> workers;
  for (unsigned job = 0; job < jobs; ++job) {
    int ends[2];
    if (pipe(ends) != 0) return 2;
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      close(ends[0]);
      FILE* const out = fdopen(ends[1], "w");
      Totals totals;
      for (uint64_t seed = first + job; seed <= last; seed += jobs) {
        RunOptions one = options;
        one.seed = seed;
        const RunResult result = RunOnce(one);
        totals.Add(result);
        for (const Violation& violation : result.violations) {
          fmt::print("seed {}: {}: {}\n", seed, violation.invariant, violation.what);
        }
        std::fflush(stdout);
      }
      fmt::print(out, "{}\n", totals.Serialize());
      std::fclose(out);
      _exit(0);
    }
    close(ends[1]);
    workers.emplace_back(pid, fdopen(ends[0], "r"));
  }
  Totals totals;
  bool complete = true;
  for (const auto& [pid, pipe_end] : workers) {
    char line[4096] = "";
    complete = std::fgets(line, sizeof(line), pipe_end) != nullptr && complete;
    std::fclose(pipe_end);
    totals.Add(Totals::Parse(line));
    int status = 0;
    waitpid(pid, &status, 0);
    complete = complete && status == 0;
  }
  if (table) fmt::print("{}", totals.Table());
  bool breaks_all = true;
  for (size_t i = 0; i < kFaultKinds && last - first + 1 >= kEnoughForAllKinds; ++i) {
    const std::string_view name = NameOf(static_cast<Fault>(i));
    if (totals.faults()[i] > 0 || name == options.without) continue;
    fmt::print("in {} seeds there was no fault of the kind \"{}\"\n", last - first + 1, name);
    breaks_all = false;
  }
  if (!complete) fmt::print("a worker has died: its seeds are missing\n");
  fmt::print("{}\n", totals.LastLine());
  return complete && breaks_all && totals.violating_seeds() == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Runs fleet's own code in a simulated cluster that breaks, and checks its invariants");
  Arguments arguments;
  auto* seed = app.add_option("--seed", arguments.run.seed, "run this seed");
  app.add_option("--seeds", arguments.seeds, "run the seeds A..B, on all cores");
  app.add_flag("--trace", arguments.trace, "print what happens (with --seed)");
  app.add_flag("--log", arguments.log, "print what fleetd logs, on stderr");
  app.add_option("--without", arguments.without, "leave this kind of fault out");
  app.add_option("--machines", arguments.run.machines, "as many machines; default: 3 to 12");
  app.add_option("--units", arguments.run.units, "as many units; default: 20 to 200");
  app.add_option("--steps", arguments.run.steps, "at least so many steps before the quiet");
  app.add_option("--mutant", arguments.run.mutant, "run a broken version; see --list-mutants");
  app.add_flag("--list-mutants", arguments.list_mutants, "print the broken versions");
  app.add_flag("--table", arguments.table, "print the counts as a Markdown table (with --seeds)");
  app.add_option("--jobs", arguments.jobs, "processes at once; default: one for each core");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (arguments.list_mutants) {
    for (const Mutant& mutant : Mutants()) fmt::print("{:26} {}\n", mutant.name, mutant.what);
    return 0;
  }
  if (!arguments.run.mutant.empty() && MakeMutant(arguments.run.mutant) == nullptr) {
    fmt::print(stderr, "there is no mutant {}; see --list-mutants\n", arguments.run.mutant);
    return 2;
  }
  if (arguments.log) {
    log::SetLevel(log::Level::kDebug);
  } else {
    log::Mute();
  }
  arguments.run.without = arguments.without;
  if (arguments.seeds.empty()) {
    if (seed->count() == 0) {
      fmt::print(stderr, "name a seed (--seed N) or several (--seeds A..B)\n");
      return 2;
    }
    return RunSeed(arguments.run, arguments.trace);
  }
  const std::vector<std::string> ends = absl::StrSplit(arguments.seeds, "..");
  uint64_t first = 0;
  uint64_t last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last) ||
      last < first) {
    fmt::print(stderr, "--seeds wants A..B, not {}\n", arguments.seeds);
    return 2;
  }
  const unsigned jobs =
      arguments.jobs > 0 ? arguments.jobs : std::max(1U, std::thread::hardware_concurrency());
  return RunSeeds(arguments.run, first, last, jobs, arguments.table);
}

}  // namespace
}  // namespace fleet::sim

int main(int argc, char** argv) { return fleet::sim::Main(argc, argv); }
