#include <algorithm>
#include <array>
#include <string_view>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/plan_table.h"
#include "fleetctl/select.h"
#include "fleetctl/sources.h"
#include "fleetctl/verbs.h"
#include "model/unit_file.h"

namespace fleet::fleetctl {
namespace {

using client::PlanRequest;
using Words = std::vector<std::string>;

// The text that the command planned for would use: without --replace a registered one stays.
absl::StatusOr<client::PlannedUnit> PlannedFrom(Session& session, Source source) {
  client::PlannedUnit planned{.name = source.name,
                              .content = std::move(source.content),
                              .force = session.flags().On("force")};
  if (!planned.content || !source.registered || session.flags().On("replace")) return planned;
  ASSIGN_OR_RETURN(const UnitFile file, UnitFile::Parse(*std::move(planned.content)));
  planned.content.reset();
  if (file.hash() != source.registered->hash) {
    session.err() << "WARNING: Unit " << source.name << " in registry differs from local unit file "
                  << source.path << ". Add --replace to override.\n";
  }
  return planned;
}

absl::StatusOr<std::vector<client::PlannedUnit>> FindUnits(Session& session, const Words& words,
                                                           bool start) {
  ASSIGN_OR_RETURN(
      std::vector<Source> sources,
      FindSources(
          session.api(), words,
          {.verb = "start", .start = start, .look_up = true, .force = session.flags().On("force")},
          session.err()));
  std::vector<client::PlannedUnit> units;
  for (Source& source : sources) {
    ASSIGN_OR_RETURN(client::PlannedUnit planned, PlannedFrom(session, std::move(source)));
    units.push_back(std::move(planned));
  }
  return units;
}

absl::StatusOr<PlanRequest> PlanStart(Session& session, const Words& words) {
  if (words.empty()) return UsageError("plan start needs NAME|FILE…");
  PlanRequest request{.verb = "start"};
  ASSIGN_OR_RETURN(request.units, FindUnits(session, words, /*start=*/true));
  return request;
}

absl::StatusOr<PlanRequest> PlanDestroy(Session& session, const Words& words) {
  if (words.empty()) return UsageError("plan destroy needs NAME…");
  ASSIGN_OR_RETURN(const Selection selection,
                   SelectUnits(session.api(), words, /*templates=*/true));
  if (!selection.missing.empty()) return NoSuchUnit(selection.missing[0]);
  PlanRequest request{.verb = "destroy"};
  for (const client::Unit& unit : selection.units) request.units.push_back({.name = unit.name});
  return request;
}

absl::StatusOr<PlanRequest> PlanScale(Session& session, const Words& words) {
  PlanRequest request{.verb = "scale"};
  if (session.flags().On("reset")) {
    if (words.size() != 1 || !IsTemplate(NameFrom(words[0])))
      return UsageError("plan scale --reset needs one template, such as web@.service");
    request.units.push_back({.name = NameFrom(words[0])});
    return request;
  }
  int64_t count = 0;
  if (words.size() != 2 || !ReadNumber(words[1], count) || count < 0)
    return UsageError("plan scale needs TEMPLATE N, or --reset TEMPLATE");
  ASSIGN_OR_RETURN(request.units, FindUnits(session, {words[0]}, /*start=*/false));
  if (request.units.size() != 1 || !IsTemplate(request.units[0].name)) {
    return UsageError(Cat("plan scale needs one template, such as web@.service, not ", words[0]));
  }
  request.count = count;
  return request;
}

absl::StatusOr<PlanRequest> PlanOfMachine(const std::string& verb, const Words& words) {
  if (words.size() != 1) return UsageError(Cat("plan ", verb, " needs one MACHINE"));
  return PlanRequest{.verb = verb, .machine = words[0]};
}

absl::StatusOr<PlanRequest> PlanDrain(Session& /*session*/, const Words& words) {
  return PlanOfMachine("drain", words);
}

absl::StatusOr<PlanRequest> PlanLose(Session& /*session*/, const Words& words) {
  return PlanOfMachine("lose", words);
}

absl::StatusOr<PlanRequest> PlanAdd(Session& session, const Words& words) {
  const std::string like = session.flags().Text("like");
  if (!words.empty() || like.empty()) return UsageError("plan add needs --like=MACHINE");
  ASSIGN_OR_RETURN(const int count, session.flags().Number("count"));
  if (count < 1) return UsageError(Cat("--count is a number of machines, not ", count));
  return PlanRequest{.verb = "add", .machine = like, .count = count};
}

absl::StatusOr<PlanRequest> PlanRebalance(Session& session, const Words& words) {
  if (!words.empty()) return UsageError("plan rebalance takes no arguments");
  PlanRequest request{.verb = "rebalance"};
  ASSIGN_OR_RETURN(request.max_moves, MaxMovesFrom(session.flags()));
  return request;
}

struct PlanVerb {
  std::string_view name;
  absl::StatusOr<PlanRequest> (*request)(Session& session, const Words& words);
};
constexpr std::array<PlanVerb, 7> kVerbs = {{{"start", PlanStart},
                                             {"destroy", PlanDestroy},
                                             {"drain", PlanDrain},
                                             {"scale", PlanScale},
                                             {"rebalance", PlanRebalance},
                                             {"lose", PlanLose},
                                             {"add", PlanAdd}}};

absl::StatusOr<int> Plan(Session& session) {
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  std::vector<std::string_view> names;
  names.reserve(kVerbs.size());
  for (const PlanVerb& verb : kVerbs) names.push_back(verb.name);
  ASSIGN_OR_RETURN(const std::string_view name, FindName(session.arguments()[0], names, "plan"));
  const auto* const verb = std::find_if(kVerbs.begin(), kVerbs.end(),
                                        [&](const PlanVerb& one) { return one.name == name; });
  const Words words(session.arguments().begin() + 1, session.arguments().end());
  ASSIGN_OR_RETURN(const PlanRequest request, verb->request(session, words));
  ASSIGN_OR_RETURN(const client::Plan plan, session.api().MakePlan(request));
  return PrintPlan(session, plan);
}

int RunPlan(Session& session) {
  const auto code = Plan(session);
  return code.ok() ? *code : FailPlan(session, code.status());
}

std::vector<FlagSpec> PlanFlags() {
  std::vector<FlagSpec> flags = PlanTableFlags();
  flags.push_back({"replace", 0, "", "", "start, scale: with the text of the file"});
  flags.push_back({"force", 0, "", "", "start, scale: only warn of unknown [X-Fleet] keys"});
  flags.push_back({.name = "reset",
                   .help = "scale: to what the template's Replicas= says",
                   .from_environment = false});
  flags.push_back(MaxMovesFlag());
  flags.push_back({"like", 0, "MACHINE", "", "add: machines that are like this one"});
  flags.push_back({"count", 'n', "N", "1", "add: how many"});
  return flags;
}

}  // namespace

Command PlanCommand() {
  return {
      .name = "plan",
      .summary = "Show what would happen, before it happens",
      .arguments =
          "start NAME|FILE… | destroy NAME… | scale TEMPLATE N|--reset TEMPLATE | drain MACHINE | "
          "lose MACHINE | add | rebalance",
      .description =
          "Nothing is changed. A line for each unit that would be placed, move, stop, or wait "
          "because it fits\nnowhere. drain empties a machine; lose is its failure; add is more "
          "machines like one that there is.\nExit status: 0 nothing would change, 1 something "
          "would, 2 and more an error.",
      .example =
          "  fleetctl plan start ./web@{1..3}.service\n"
          "  fleetctl plan lose 8be9f57e\n"
          "  fleetctl plan add --like=8be9f57e -n 2",
      .flags = PlanFlags(),
      .run = RunPlan,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
