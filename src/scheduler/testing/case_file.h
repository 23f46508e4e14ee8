#pragma once

// The text format of scheduling cases (testdata/*.case, README.md describes it): what the golden
// tests and the benchmark are made of.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {

// A line that is not indented, and the indented ones under it.
struct Step {
  int line = 0;
  std::vector<std::string> words;
  std::string x_fleet;                // keys of [X-Fleet]
  std::vector<std::string> expected;  // what stands behind each "="
};

struct Case {
  std::string file;  // without folder and ".case"
  std::string name;
  std::vector<Step> steps;
};

// INVALID_ARGUMENT with the line that stands before any case.
absl::StatusOr<std::vector<Case>> ParseCases(std::string_view text, std::string_view file);
// NOT_FOUND if the file cannot be read.
absl::StatusOr<std::vector<Case>> ReadCases(const std::filesystem::path& path);
// Of all *.case in a folder, sorted by file.
absl::StatusOr<std::vector<Case>> ReadAllCases(const std::filesystem::path& folder);

// What a step "machine" or "machines" says.
absl::StatusOr<std::vector<Machine>> MachinesOf(const Step& step);

// A unit with its [X-Fleet] keys, specifiers expanded.
struct CaseUnit {
  std::string name;
  RequirementsPtr requirements;
};
absl::StatusOr<CaseUnit> UnitOf(std::string_view name, std::string_view x_fleet);
// What a step "units" says: the instances 1 … COUNT.
absl::StatusOr<std::vector<CaseUnit>> UnitsOf(const Step& step);

}  // namespace fleet::scheduler
