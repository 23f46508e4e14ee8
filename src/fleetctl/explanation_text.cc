#include "fleetctl/explanation_text.h"

#include <vector>

#include "client/text.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

// More machines than these are only counted.
constexpr size_t kNamedMachines = 5;

std::string Labels(Session& session, const std::vector<std::string>& machines) {
  if (machines.size() > kNamedMachines && !session.flags().On("full"))
    return Cat(machines.size(), " machines");
  std::vector<std::string> labels;
  labels.reserve(machines.size());
  for (const std::string& machine : machines) labels.push_back(session.LabelOf(machine));
  return Join(labels, ", ");
}

std::string Where(Session& session, const client::UnitExplanation& explanation) {
  const std::string on =
      explanation.machines.empty() ? "" : Cat(" on ", Labels(session, explanation.machines));
  if (explanation.state == "placed") return "placed" + on;
  if (explanation.state == "moving") return on.empty() ? "moving" : "moving," + on;
  if (explanation.state == "global") return on.empty() ? "global, on no machine" : "global," + on;
  return "not placed";
}

std::string HeadLine(Session& session, const client::UnitExplanation& explanation) {
  std::string line = Cat(explanation.unit, ": ", Where(session, explanation));
  if (!explanation.reason.empty())
    Append(line, ": ", WithShortIds(explanation.reason, session.flags().On("full")));
  return line + "\n";
}

// "37.5%" of millionths.
std::string Percent(int64_t millionths) {
  const int64_t tenths = millionths / 1000;
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) Append(text, ".", tenths % 10);
  return text + "%";
}

std::string VerdictText(const client::Verdict& verdict) {
  if (!verdict.eligible) return Join(verdict.ruled_out_by, "; ");
  const client::Score& score = verdict.score;
  std::string text = "eligible: load ";
  text += score.by_share ? Percent(score.load) : std::to_string(score.load);
  if (!score.spread_value.empty()) {
    Append(text, ", ", score.spread, score.spread == 1 ? " instance in " : " instances in ",
           score.spread_value);
  }
  if (score.runs_there) text += ", it is there";
  return text;
}

std::string Indented(const Table& table) {
  const std::string lines = table.Render();
  std::string text;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = lines.find('\n', begin);
    Append(text, "  ", std::string_view(lines).substr(begin, end - begin), "\n");
    begin = end + 1;
  }
  return text;
}

}  // namespace

std::string ExplanationText(Session& session, const client::UnitExplanation& explanation,
                            bool each_machine) {
  const bool full = session.flags().On("full");
  std::string text = HeadLine(session, explanation);
  std::vector<std::string> others = explanation.together;
  std::erase(others, explanation.unit);
  if (!others.empty()) Append(text, "  shares its machine with ", Join(others, ", "), "\n");
  if (!explanation.ruled_out.empty()) {
    Table table({Cat("OF ", explanation.total, explanation.total == 1 ? " MACHINE" : " MACHINES",
                     ", RULED OUT BY"),
                 "IN ALL", "ALONE"});
    for (const client::RuledOut& out : explanation.ruled_out)
      table.Add({WithShortIds(out.constraint, full), std::to_string(out.in_all),
                 std::to_string(out.alone)});
    text += Indented(table);
  }
  if (!explanation.remedies.empty()) text += "  what would help:\n";
  for (const client::Remedy& remedy : explanation.remedies)
    Append(text, "    ", WithShortIds(remedy.change, full), "\n");
  if (!explanation.conflicts.empty())
    Append(text, "  conflicts with ", Join(explanation.conflicts, ", "), "\n");
  for (const std::string& note : explanation.notes) Append(text, "  note: ", note, "\n");
  if (each_machine && !explanation.verdicts.empty()) {
    Table table({"MACHINE", "VERDICT"});
    for (const client::Verdict& verdict : explanation.verdicts)
      table.Add({session.LabelOf(verdict.machine_id), VerdictText(verdict)});
    text += Indented(table);
  }
  return text;
}

const std::string& NotAsWanted(const client::UnitOnMachine& there) {
  const bool is_hindered =
      there.progress == "pending" && !there.machine_id.empty() && !there.reason.empty();
  return is_hindered ? there.reason : there.drift;
}

std::string DriftText(Session& session, const client::Unit& unit) {
  std::string text;
  const auto add = [&](const client::UnitOnMachine& there, const std::string& why) {
    if (why.empty()) return;
    Append(text, "  not as fleet wants it on ", session.LabelOf(there.machine_id), ": ", why, "\n");
  };
  add(unit.status, unit.status.drift);  // what hinders it is in the explanation
  for (const client::UnitOnMachine& there : unit.machines) add(there, NotAsWanted(there));
  return text;
}

}  // namespace fleet::fleetctl
