#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/plan_table.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<int> DryRun(Session& session) {
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  client::PlanRequest request{.verb = "rebalance"};
  ASSIGN_OR_RETURN(request.max_moves, MaxMovesFrom(session.flags()));
  ASSIGN_OR_RETURN(const client::Plan plan, session.api().MakePlan(request));
  return PrintPlan(session, plan);
}

absl::StatusOr<int> Rebalance(Session& session) {
  for (const std::string_view flag : {"output", "no-legend"}) {
    if (session.flags().Given(flag)) return UsageError(Cat("--", flag, " goes with --dry-run"));
  }
  ASSIGN_OR_RETURN(const WaitLimits limits, WaitLimitsFrom(session.flags()));
  ASSIGN_OR_RETURN(const auto max_moves, MaxMovesFrom(session.flags()));
  ASSIGN_OR_RETURN(const client::Plan plan, session.api().Rebalance(max_moves));
  if (plan.changes.empty() && plan.skipped.empty()) {
    session.err() << "Nothing to do: the load is even.\n";
    return kDone;
  }
  Action action{.verb = "rebalance", .goal = Goal::kMoved, .limits = limits};
  Sent sent{.revision = plan.revision};
  for (const client::PlannedChange& change : plan.changes) {
    session.out() << "Unit " << change.unit << " moves from " << session.LabelOf(change.from)
                  << " to " << session.LabelOf(change.machine) << "\n";
    action.moves[change.unit] = change.machine;
    sent.made.push_back(change.unit);
  }
  session.out().flush();
  std::vector<std::string> order = sent.made;
  order.insert(order.end(), plan.skipped.begin(), plan.skipped.end());
  Verdict verdict(std::move(order));
  for (const std::string& name : plan.skipped) {
    session.err() << "Error: unit " << name
                  << " is not moved: others changed it at the same time; try again\n";
    verdict.Fail(name, kFailed);
  }
  if (limits.block) RETURN_IF_ERROR(Await(session, action, sent, verdict));
  return verdict.code();
}

int RunRebalance(Session& session) {
  if (session.flags().On("dry-run")) {
    const auto code = DryRun(session);
    return code.ok() ? *code : FailPlan(session, code.status());
  }
  const auto code = Rebalance(session);
  return code.ok() ? *code : session.Fail(code.status());
}

std::vector<FlagSpec> RebalanceFlags() {
  std::vector<FlagSpec> flags = WaitFlags();
  flags.push_back({"dry-run", 0, "", "", "only show what would move, as \"plan rebalance\" does"});
  flags.push_back({"max-moves", 0, "N", "", "move at most so many units"});
  for (FlagSpec flag : PlanTableFlags()) {
    flag.from_environment = flag.name == "full";  // the others are refused without --dry-run
    flags.push_back(flag);
  }
  return flags;
}

}  // namespace

Command RebalanceCommand() {
  return {.name = "rebalance",
          .summary = "Move running units so that the load is even, in the fewest moves",
          .arguments = "",
          .description =
              "Waits until each runs on its new machine. Moves go on when this command ends early, "
              "as fast as\ndisruption_budget of fleet.conf allows. A second run moves nothing.",
          .example =
              "  fleetctl rebalance --dry-run\n"
              "  fleetctl rebalance --max-moves=5",
          .flags = RebalanceFlags(),
          .run = RunRebalance,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
