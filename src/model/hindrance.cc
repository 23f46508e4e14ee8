#include "model/hindrance.h"

#include "fmt/core.h"

namespace fleet {

std::string HindranceOf(const StateReport& report, const Assignment& asked) {
  // One that is settled has done what was asked before: its result is how that came out.
  if (report.generation == asked.generation || report.settled || report.gone ||
      report.result.empty()) {
    return "";
  }
  const bool runs_on = report.active_state == "active" && report.content_hash != asked.content_hash;
  return fmt::format("{}; {}this is tried again", report.result,
                     runs_on ? "it runs on with its former text, and " : "");
}

std::string HindranceOn(const ClusterView& view, const std::string& unit,
                        const std::string& machine) {
  const auto* asked = view.assignments.Find(UnitOnMachine{unit, machine});
  const auto* report = view.states.Find(UnitOnMachine{unit, machine});
  if (asked == nullptr || report == nullptr || report->value.uid != asked->value.uid) return "";
  return HindranceOf(report->value, asked->value);
}

}  // namespace fleet
