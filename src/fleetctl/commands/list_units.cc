#include <algorithm>
#include <tuple>

#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/listing.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<std::vector<Row>> Read(Session& session, bool full, bool keep_json) {
  ASSIGN_OR_RETURN(std::vector<client::UnitState> states,
                   session.api().ListStates("", "", keep_json));
  std::sort(states.begin(), states.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name, a.machine_id) < std::tie(b.name, b.machine_id);
  });
  std::vector<Row> rows;
  rows.reserve(states.size());
  for (client::UnitState& state : states) {
    rows.push_back(
        {.cells = {state.name, session.LabelOf(state.machine_id), state.load_state,
                   state.active_state, state.sub_state, ShortHash(state.hash, full), state.drift},
         .name = state.name,
         .json = std::move(state.json),
         .machine_ids = {state.machine_id},
         .states = {state.load_state, state.active_state, state.sub_state}});
    if (!state.drift.empty()) rows.back().states.emplace_back(kDrifted);
  }
  return rows;
}

int RunListUnits(Session& session) {
  return RunListing(session, {.name = "list-units",
                              .default_fields = "unit,machine,active,sub",
                              .read = Read,
                              .states = true});
}

}  // namespace

Command ListUnitsCommand() {
  return {
      .name = "list-units",
      .summary = "List the units on machines and what systemd says of them",
      .arguments = "[NAME…]",
      .description =
          "Names may be quoted globs. Fields: unit, machine, load, active, sub, hash, drift.\n"
          "--state takes systemd's load, active and sub states, and drifted: somebody else than "
          "fleet has\nstopped, masked or edited the unit, as drift says.",
      .example =
          "  fleetctl list-units 'web@*' --state=failed\n"
          "  fleetctl list-units -o wide --state=drifted",
      .flags = ListFlags(),
      .run = RunListUnits};
}

}  // namespace fleet::fleetctl
