// Runs testdata/*.case; README.md describes the format.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gtest/gtest.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {
namespace {

// A line that is not indented, and the indented ones under it.
struct Step {
  int line = 0;
  std::vector<std::string> words;
  std::string x_fleet;                // keys of [X-Fleet]
  std::vector<std::string> expected;  // what stands behind each "="
};

struct Case {
  std::string file;
  std::string name;
  std::vector<Step> steps;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.file << ": " << one.name; }

std::vector<std::string> Words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<Case> ReadCases(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::vector<Case> cases;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::string text = line.substr(first);
    if (text.starts_with("case ")) {
      cases.push_back({path.stem().string(), text.substr(5), {}});
    } else if (first == 0) {
      cases.back().steps.push_back({number, Words(text), "", {}});
    } else if (text.starts_with("= ")) {
      cases.back().steps.back().expected.push_back(text.substr(2));
    } else {
      cases.back().steps.back().x_fleet += text + "\n";
    }
  }
  return cases;
}

std::vector<Case> AllCases() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SCHEDULER_TESTDATA)) {
    if (entry.path().extension() == ".case") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Case> all;
  for (const auto& path : paths) {
    for (Case& one : ReadCases(path)) all.push_back(std::move(one));
  }
  return all;
}

// Carries out a case's steps on one scheduler.
class Runner {
 public:
  // What the step answers, one line each; empty for a step that only changes something.
  std::vector<std::string> Run(const Step& step) {
    const std::vector<std::string>& words = step.words;
    const std::string& verb = words.at(0);
    const std::string& name = words.at(1);
    if (verb == "machine") return SetMachine(words);
    if (verb == "remove") {
      scheduler_.RemoveMachine(name);
      return {};
    }
    if (verb == "unplace") {
      scheduler_.Unplace(name, words.at(2));
      return {};
    }
    const RequirementsPtr requirements = RequirementsOf(name, step.x_fleet);
    if (verb == "unit") return PlaceUnit(words, requirements);
    if (verb == "choose" || verb == "start") {
      const std::string avoid = words.size() > 3 && words[2] == "avoiding" ? words[3] : "";
      return Choose(name, requirements, avoid, verb == "start");
    }
    if (verb == "eligible") return {Joined(scheduler_.EligibleMachines(name, *requirements))};
    if (verb == "check") {
      const bool newcomer = words.back() == "newcomer";
      const std::string why = scheduler_.RulesOut(name, *requirements, words.at(2), newcomer);
      return {why.empty() ? "ok" : why};
    }
    if (verb == "conflicts") {
      return {Joined(scheduler_.ConflictsOn(name, *requirements, words.at(2)))};
    }
    return {fmt::format("unknown step {}", verb)};
  }

 private:
  static std::string Joined(const std::vector<std::string>& words) {
    return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
  }

  std::vector<std::string> SetMachine(const std::vector<std::string>& words) {
    Machine machine = {.id = words.at(1)};
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      if (equals != std::string::npos) {
        machine.metadata[words[i].substr(0, equals)] = words[i].substr(equals + 1);
      } else if (words[i] == "cordoned") {
        machine.schedulable = false;
      } else {
        return {fmt::format("unknown word {}", words[i])};
      }
    }
    scheduler_.SetMachine(machine);
    return {};
  }

  std::vector<std::string> PlaceUnit(const std::vector<std::string>& words,
                                     const RequirementsPtr& requirements) {
    for (size_t i = 2; i + 1 < words.size(); i += 2) {
      if (words[i] != "on" && words[i] != "leaving") return {"unknown word " + words[i]};
      scheduler_.Place(words[1], requirements, words[i + 1],
                       words[i] == "on" ? Hold::kRuns : Hold::kLeaves);
    }
    return {};
  }

  std::vector<std::string> Choose(const std::string& name, const RequirementsPtr& requirements,
                                  const std::string& avoid, bool place) {
    const Choice choice = scheduler_.Choose(name, *requirements, avoid);
    if (!choice.machine) return {"none", choice.explanation.Summary()};
    if (place) scheduler_.Place(name, requirements, *choice.machine, Hold::kRuns);
    return {*choice.machine};
  }

  // A step's own keys, or those that the unit had last.
  RequirementsPtr RequirementsOf(const std::string& name, const std::string& x_fleet) {
    RequirementsPtr& known = requirements_[name];
    if (!x_fleet.empty() || known == nullptr) {
      auto file = UnitFile::Parse("[X-Fleet]\n" + x_fleet);
      auto unit = UnitName::Parse(name);
      if (!file.ok() || !unit.ok()) {
        ADD_FAILURE() << name << ": " << file.status() << " " << unit.status();
        return std::make_shared<Requirements>();
      }
      auto requirements = ParseRequirements(*file, *unit);
      EXPECT_TRUE(requirements.ok()) << name << ": " << requirements.status();
      known = std::make_shared<Requirements>(requirements.ok() ? *std::move(requirements)
                                                               : Requirements{});
    }
    return known;
  }

  Scheduler scheduler_;
  std::map<std::string, RequirementsPtr> requirements_;
};

class GoldenTest : public ::testing::TestWithParam<Case> {};

TEST_P(GoldenTest, DecidesAsWritten) {
  Runner runner;
  for (const Step& step : GetParam().steps) {
    std::vector<std::string> answer = runner.Run(step);
    // Why there is no machine may be left out.
    if (step.expected.size() == 1 && answer.size() == 2) answer.pop_back();
    EXPECT_EQ(answer, step.expected)
        << GetParam().file << ".case:" << step.line << ": " << fmt::format("{}", step.words);
  }
}

std::string TestName(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.file + "_" + info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, ::testing::ValuesIn(AllCases()), TestName);

}  // namespace
}  // namespace fleet::scheduler
