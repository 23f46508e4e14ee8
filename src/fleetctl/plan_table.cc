#include "fleetctl/plan_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

// The kinds of changes, in the order of a plan's last line, and what it calls them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kKinds = {
    {{"place", "placed"},
     {"move", "moved"},
     {"stop", "stopped"},
     {"wait", "would wait"},
     {"stay", "cannot move"}}};

std::string CountsText(const client::Plan& plan) {
  std::vector<std::string> parts;
  for (const auto& [kind, word] : kKinds) {
    const auto count =
        std::count_if(plan.changes.begin(), plan.changes.end(),
                      [kind = kind](const auto& change) { return change.change == kind; });
    if (count > 0) parts.push_back(Cat(count, " ", word));
  }
  return parts.empty() ? "Nothing would change." : Join(parts, ", ");
}

std::string TableText(Session& session, const client::Plan& plan) {
  const bool full = session.flags().On("full");
  // The machines of a plan may be ones that there are not yet: they have no address.
  std::map<std::string, std::string> addresses;
  if (const auto machines = session.api().ListMachines(); machines.ok()) {
    for (const client::Machine& machine : *machines) addresses[machine.id] = machine.primary_ip;
  }
  const auto label = [&](const std::string& id) { return MachineLabel(id, addresses[id], full); };
  std::vector<std::string> header;
  if (!session.flags().On("no-legend")) header = {"CHANGE", "UNIT", "FROM", "MACHINE", "REASON"};
  Table table(std::move(header));
  for (const client::PlannedChange& change : plan.changes) {
    table.Add({change.change, change.unit, label(change.from), label(change.machine),
               WithShortIds(change.reason, full)});
  }
  return table.Render();
}

std::string NamesText(const client::Plan& plan) {
  std::vector<std::string> names;
  for (const client::PlannedChange& change : plan.changes) {
    if (names.empty() || names.back() != change.unit) names.push_back(change.unit);
  }
  names.emplace_back();
  return Join(names, "\n");
}

}  // namespace

std::vector<FlagSpec> PlanTableFlags() {
  return {{"full", 'l', "", "", "do not shorten ids"},
          {"no-legend", 0, "", "", "no header line"},
          OutputFlag("table or text, wide, json, yaml or name")};
}

int PrintPlan(Session& session, const client::Plan& plan) {
  const std::string format = session.flags().Text("output");
  if (HasEntities(format)) {
    session.out() << RenderEntities({plan.json}, format, /*as_list=*/false);
  } else if (format == "name") {
    session.out() << NamesText(plan);
  } else if (!plan.changes.empty()) {
    session.out() << TableText(session, plan);
  }
  session.out().flush();
  session.err() << CountsText(plan) << "\n";
  return plan.changes.empty() ? kDone : kPlanChanges;
}

int FailPlan(const Session& session, const absl::Status& status) {
  const int code = session.Fail(status);
  return code == kFailed ? kPlanFailed : code;
}

FlagSpec MaxMovesFlag() { return {"max-moves", 0, "N", "", "rebalance: at most so many moves"}; }

absl::StatusOr<std::optional<int64_t>> MaxMovesFrom(const Flags& flags) {
  if (flags.Text("max-moves").empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const int moves, flags.Number("max-moves"));
  if (moves < 0) return UsageError(Cat("--max-moves is a number of moves, not ", moves));
  return moves;
}

}  // namespace fleet::fleetctl
