#pragma once

// What many runs add up to.

#include <cstdint>
#include <string>

#include "sim/simulation.h"

namespace fleet::sim {

class Totals {
 public:
  void Add(const RunResult& result);
  void Add(const Totals& other);

  // "seeds 100, steps …, violations 0" with the count of each kind of fault.
  std::string LastLine() const;
  std::string Table() const;  // Markdown

  // One line, for another process.
  std::string Serialize() const;
  static Totals Parse(const std::string& line);

  uint64_t violating_seeds() const { return violating_; }
  const FaultCounts& faults() const { return faults_; }

 private:
  uint64_t seeds_ = 0;
  uint64_t steps_ = 0;
  double seconds_ = 0;
  uint64_t changes_ = 0;
  uint64_t placements_ = 0;
  uint64_t runs_ = 0;
  uint64_t violations_ = 0;
  uint64_t violating_ = 0;  // seeds
  FaultCounts faults_ = {};
};

}  // namespace fleet::sim
