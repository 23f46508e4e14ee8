#pragma once

// One run: a cluster, random work and random faults, then quiet, in which all has to come right.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/checker.h"
#include "sim/faults.h"

namespace fleet::sim {

struct RunOptions {
  uint64_t seed = 1;
  size_t machines = 0;    // 0: by the seed
  size_t units = 0;       // 0: by the seed
  uint64_t steps = 2000;  // at least so many before the quiet
  size_t faults = 20;     // and so many
  std::string mutant;     // of mutants.h; empty: fleet as it is
  std::string without;    // the name of a fault that is not made
  bool drains = true;     // machines are cordoned and drained
  std::function<void(const std::string&)> trace;
};

struct RunResult {
  uint64_t steps = 0;
  double seconds = 0;  // simulated
  size_t machines = 0;
  uint64_t changes = 0;  // by users
  uint64_t placements = 0;
  uint64_t runs = 0;     // of units
  uint64_t refused = 0;  // requests that not all machines' versions would have heeded
  FaultCounts faults = {};
  std::vector<Violation> violations;
  uint64_t trace_hash = 0;
};

RunResult RunOnce(const RunOptions& options);

}  // namespace fleet::sim
