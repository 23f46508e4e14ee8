#include "scheduler/testing/answer_texts.h"

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace fleet::scheduler {
namespace {

std::string Text(const Verdict& verdict) {
  if (!verdict.ruled_out_by.empty()) {
    return fmt::format("{}: {}", verdict.machine, fmt::join(verdict.ruled_out_by, "; "));
  }
  return fmt::format(
      "{}: by_share={} load={} spread={}:{} runs_there={}", verdict.machine, verdict.score.by_share,
      verdict.score.load, verdict.score.spread_value.value_or("-"),
      verdict.score.spread_value ? verdict.score.spread : 0, verdict.score.runs_there);
}

std::string Text(const RuledOut& by) {
  return fmt::format("{}: {} {} {}", by.constraint, by.machines, by.in_all, by.alone);
}

// What counts of a constraint, without the units of a conflict, of which only some are named.
std::string WithoutUnits(const RuledOut& by) {
  std::string text = Text(by);
  if (!by.constraint.starts_with("Conflicts") || by.constraint == kSelfConflictText) return text;
  return by.constraint.substr(0, by.constraint.find(" with ")) + text.substr(text.rfind(": "));
}

}  // namespace

std::vector<std::string> Texts(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> texts;
  texts.reserve(verdicts.size());
  for (const Verdict& verdict : verdicts) texts.push_back(Text(verdict));
  return texts;
}

std::vector<std::string> Texts(const Explanation& explanation) {
  std::vector<std::string> texts = {explanation.Summary(), fmt::format("{}", explanation.machines)};
  for (const RuledOut& by : explanation.ruled_out) texts.push_back(Text(by));
  texts.emplace_back("also");
  for (const RuledOut& by : explanation.also) texts.push_back(Text(by));
  for (const Remedy& remedy : explanation.remedies) {
    texts.push_back(fmt::format("{} of={} key={} name={} amount={} machines={}", remedy.text,
                                remedy.of, remedy.key, remedy.name, remedy.amount,
                                remedy.machines));
  }
  for (const auto* list : {&explanation.conflicts, &explanation.notes, &explanation.together}) {
    texts.push_back(fmt::format("{}", *list));
  }
  return texts;
}

std::multiset<std::string> WithoutUnits(const std::vector<RuledOut>& constraints) {
  std::multiset<std::string> texts;
  for (const RuledOut& by : constraints) texts.insert(WithoutUnits(by));
  return texts;
}

}  // namespace fleet::scheduler
