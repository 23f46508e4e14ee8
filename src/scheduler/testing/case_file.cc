#include "scheduler/testing/case_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet::scheduler {
namespace {

std::vector<std::string> Words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

absl::Status Invalid(const Step& step, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("line {}: {}", step.line, why));
}

absl::StatusOr<int> CountOf(const Step& step) {
  int count = 0;
  if (step.words.size() < 3 || !absl::SimpleAtoi(step.words[1], &count) || count < 0) {
    return Invalid(step, fmt::format("write {} COUNT NAME", step.words[0]));
  }
  return count;
}

// Amounts are written as in a unit file. There, nothing is not an amount.
absl::StatusOr<Resources> Amount(std::string_view key, std::string_view value) {
  if (value == "0") return Resources{};
  ASSIGN_OR_RETURN(const CaseUnit unit,
                   UnitOf("capacity.service", fmt::format("{}={}\n", key, value)));
  return Resources{unit.requirements->reserve_milli_cores, unit.requirements->reserve_memory};
}

// The words behind a machine's name, where each value is one of several. An empty one: the machine
// does not have that key.
struct MachineWords {
  std::map<std::string, std::vector<std::string>> metadata;
  std::vector<Resources> cpu = {{}};
  std::vector<Resources> memory = {{}};
  bool cordoned = false;
};

absl::StatusOr<MachineWords> ReadMachineWords(const Step& step, size_t first, bool several) {
  MachineWords read;
  for (size_t i = first; i < step.words.size(); ++i) {
    const std::string_view word = step.words[i];
    const size_t equals = word.find('=');
    if (word == "cordoned") {
      read.cordoned = true;
      continue;
    }
    if (equals == std::string_view::npos) {
      return Invalid(step, fmt::format("unknown word {}", word));
    }
    std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    const std::vector<std::string> values =
        several ? absl::StrSplit(absl::string_view(value.data(), value.size()), '|')
                : std::vector<std::string>{std::string(value)};
    if (key == "cpu" || key == "memory") {
      std::vector<Resources>& amounts = key == "cpu" ? read.cpu : read.memory;
      amounts.clear();
      for (const std::string& one : values) {
        ASSIGN_OR_RETURN(const Resources amount,
                         Amount(key == "cpu" ? "ReserveCPU" : "ReserveMemory", one));
        amounts.push_back(amount);
      }
      continue;
    }
    if (key.starts_with("meta:")) key.remove_prefix(5);
    read.metadata[std::string(key)] = values;
  }
  return read;
}

Machine MachineAt(size_t index, std::string id, const MachineWords& words) {
  Machine machine = {.id = std::move(id)};
  for (const auto& [key, values] : words.metadata) {
    const std::string& value = values[index % values.size()];
    if (!value.empty()) machine.metadata[key] = value;
  }
  machine.schedulable = !words.cordoned;
  machine.capacity = {words.cpu[index % words.cpu.size()].milli_cores,
                      words.memory[index % words.memory.size()].memory};
  return machine;
}

}  // namespace

absl::StatusOr<std::vector<Case>> ParseCases(std::string_view text, std::string_view file) {
  std::vector<Case> cases;
  std::istringstream stream{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::string content = line.substr(first);
    if (content.starts_with("case ")) {
      cases.push_back({std::string(file), content.substr(5), {}});
      continue;
    }
    if (cases.empty() || (first > 0 && cases.back().steps.empty())) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: \"{}\" belongs to no {}", file, number,
                                                    content, cases.empty() ? "case" : "step"));
    }
    std::vector<Step>& steps = cases.back().steps;
    if (first == 0) {
      steps.push_back({number, Words(content), "", {}});
    } else if (content.starts_with("= ")) {
      steps.back().expected.push_back(content.substr(2));
    } else {
      steps.back().x_fleet += content + "\n";
    }
  }
  return cases;
}

absl::StatusOr<std::vector<Case>> ReadCases(const std::filesystem::path& path) {
  std::ifstream stream(path);
  if (!stream) return absl::NotFoundError(fmt::format("cannot read {}", path.string()));
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  return ParseCases(text, path.stem().string());
}

absl::StatusOr<std::vector<Case>> ReadAllCases(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".case") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Case> all;
  for (const auto& path : paths) {
    ASSIGN_OR_RETURN(std::vector<Case> cases, ReadCases(path));
    std::move(cases.begin(), cases.end(), std::back_inserter(all));
  }
  return all;
}

absl::StatusOr<std::vector<Machine>> MachinesOf(const Step& step) {
  if (step.words[0] == "machine") {
    if (step.words.size() < 2) return Invalid(step, "write machine ID");
    ASSIGN_OR_RETURN(const MachineWords words, ReadMachineWords(step, 2, false));
    return std::vector<Machine>{MachineAt(0, step.words[1], words)};
  }
  ASSIGN_OR_RETURN(const int count, CountOf(step));
  ASSIGN_OR_RETURN(const MachineWords words, ReadMachineWords(step, 3, true));
  std::vector<Machine> machines;
  machines.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    machines.push_back(
        MachineAt(static_cast<size_t>(i), fmt::format("{}{:05}", step.words[2], i), words));
  }
  return machines;
}

absl::StatusOr<CaseUnit> UnitOf(std::string_view name, std::string_view x_fleet) {
  ASSIGN_OR_RETURN(const UnitFile file, UnitFile::Parse(fmt::format("[X-Fleet]\n{}", x_fleet)));
  ASSIGN_OR_RETURN(const UnitName unit, UnitName::Parse(name));
  ASSIGN_OR_RETURN(Requirements requirements, ParseRequirements(file, unit));
  return CaseUnit{std::string(name), std::make_shared<const Requirements>(std::move(requirements))};
}

absl::StatusOr<std::vector<CaseUnit>> UnitsOf(const Step& step) {
  ASSIGN_OR_RETURN(const int count, CountOf(step));
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(step.words[2]));
  if (!name.is_template()) return Invalid(step, fmt::format("{} is no template", name.full()));
  std::vector<CaseUnit> units;
  for (int i = 1; i <= count; ++i) {
    ASSIGN_OR_RETURN(CaseUnit unit, UnitOf(fmt::format("{}@{}.{}", name.prefix(), i, name.suffix()),
                                           step.x_fleet));
    units.push_back(std::move(unit));
  }
  return units;
}

}  // namespace fleet::scheduler
