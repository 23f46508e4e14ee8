#include "sim/report.h"

#include <sstream>

#include "fmt/core.h"

namespace fleet::sim {

void Totals::Add(const RunResult& result) {
  ++seeds_;
  steps_ += result.steps;
  seconds_ += result.seconds;
  changes_ += result.changes;
  placements_ += result.placements;
  runs_ += result.runs;
  violations_ += result.violations.size();
  violating_ += result.violations.empty() ? 0 : 1;
  for (size_t i = 0; i < kFaultKinds; ++i) faults_[i] += result.faults[i];
}

void Totals::Add(const Totals& other) {
  seeds_ += other.seeds_;
  steps_ += other.steps_;
  seconds_ += other.seconds_;
  changes_ += other.changes_;
  placements_ += other.placements_;
  runs_ += other.runs_;
  violations_ += other.violations_;
  violating_ += other.violating_;
  for (size_t i = 0; i < kFaultKinds; ++i) faults_[i] += other.faults_[i];
}

std::string Totals::LastLine() const {
  std::string line = fmt::format(
      "{} seeds, {} steps, {:.0f} s simulated, {} changes, {} placements, {} runs of units; "
      "faults:",
      seeds_, steps_, seconds_, changes_, placements_, runs_);
  for (size_t i = 0; i < kFaultKinds; ++i) {
    line += fmt::format("{} {} {}", i == 0 ? "" : ",", NameOf(static_cast<Fault>(i)), faults_[i]);
  }
  return line + fmt::format("; {} violations in {} seeds", violations_, violating_);
}

std::string Totals::Table() const {
  std::string table = fmt::format(
      "| | |\n| --- | ---: |\n| seeds | {} |\n| steps | {} |\n| simulated hours | {:.0f} |\n"
      "| changes by users | {} |\n| placements | {} |\n| runs of units | {} |\n"
      "| violations | {} |\n\n| fault | times |\n| --- | ---: |\n",
      seeds_, steps_, seconds_ / 3600, changes_, placements_, runs_, violations_);
  for (size_t i = 0; i < kFaultKinds; ++i) {
    table += fmt::format("| {} | {} |\n", NameOf(static_cast<Fault>(i)), faults_[i]);
  }
  return table;
}

std::string Totals::Serialize() const {
  std::string line = fmt::format("{} {} {} {} {} {} {} {}", seeds_, steps_, seconds_, changes_,
                                 placements_, runs_, violations_, violating_);
  for (const uint64_t count : faults_) line += fmt::format(" {}", count);
  return line;
}

Totals Totals::Parse(const std::string& line) {
  std::istringstream in(line);
  Totals totals;
  in >> totals.seeds_ >> totals.steps_ >> totals.seconds_ >> totals.changes_ >>
      totals.placements_ >> totals.runs_ >> totals.violations_ >> totals.violating_;
  for (uint64_t& count : totals.faults_) in >> count;
  return totals;
}

}  // namespace fleet::sim
