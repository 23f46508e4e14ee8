#include <algorithm>

#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/listing.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

// `explain` has the whole of it.
std::string Shortened(const std::string& whole, bool full) {
  constexpr size_t kLongest = 60;
  std::string reason = WithShortIds(whole, full);
  if (full || reason.size() <= kLongest) return reason;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xC0) == 0x80) --end;
  return reason.substr(0, end) + "...";
}

absl::StatusOr<std::vector<Row>> Read(Session& session, bool full, bool keep_json) {
  ASSIGN_OR_RETURN(std::vector<client::Unit> units,
                   session.api().ListUnits(client::ApiClient::View::kSummary, keep_json));
  std::sort(units.begin(), units.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::vector<Row> rows;
  rows.reserve(units.size());
  for (client::Unit& unit : units) {
    const std::string target =
        unit.global ? "global"
                    : session.LabelOf(unit.target.empty() ? unit.status.machine_id : unit.target);
    rows.push_back({.cells = {unit.name, ShortHash(unit.hash, full), unit.description,
                              unit.desired_state, unit.global ? "" : unit.current_state, target,
                              unit.global ? "true" : "false", Shortened(unit.status.reason, full)},
                    .name = unit.name,
                    .json = std::move(unit.json),
                    .machine_id = unit.target.empty() ? unit.status.machine_id : unit.target,
                    .states = {unit.desired_state, unit.current_state}});
  }
  return rows;
}

int RunListUnitFiles(Session& session) {
  return RunListing(
      session, {.fields = {"unit", "hash", "desc", "dstate", "state", "target", "global", "reason"},
                .default_fields = "unit,hash,dstate,state,target",
                .read = Read,
                .units = true});
}

}  // namespace

Command ListUnitFilesCommand() {
  return {.name = "list-unit-files",
          .summary = "List the units in the registry, their desired and current states",
          .arguments = "[NAME…]",
          .description =
              "Names may be quoted globs. Fields: unit, hash, desc, dstate, state, "
              "target, global, reason.\n--state takes inactive, loaded and launched.",
          .example = "  fleetctl list-unit-files -o wide",
          .flags = ListFlags(),
          .run = RunListUnitFiles};
}

}  // namespace fleet::fleetctl
