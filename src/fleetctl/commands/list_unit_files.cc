#include <algorithm>

#include "base/status.h"
#include "client/text.h"
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

// What somebody else has done to it, on one of its machines.
std::string DriftOf(const client::Unit& unit) {
  if (!unit.status.drift.empty()) return unit.status.drift;
  for (const client::UnitOnMachine& there : unit.machines)
    if (!there.drift.empty()) return there.drift;
  return "";
}

// Where it is, or is to be; of a global one each that has it.
std::vector<std::string> MachinesOf(const client::Unit& unit) {
  std::vector<std::string> ids = {unit.target.empty() ? unit.status.machine_id : unit.target};
  for (const client::UnitOnMachine& there : unit.machines) ids.push_back(there.machine_id);
  return ids;
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
    const std::string drift = DriftOf(unit);
    const std::string& reason = unit.status.reason.empty() ? drift : unit.status.reason;
    rows.push_back(
        {.cells = {unit.name, ShortHash(unit.hash, full), unit.description, unit.desired_state,
                   unit.global ? "" : unit.current_state, target, unit.global ? "true" : "false",
                   unit.replicas ? Cat(*unit.replicas) : "", Shortened(reason, full)},
         .name = unit.name,
         .json = std::move(unit.json),
         .machine_ids = MachinesOf(unit),
         .states = {unit.desired_state, unit.current_state}});
    if (!drift.empty()) rows.back().states.emplace_back(kDrifted);
  }
  return rows;
}

int RunListUnitFiles(Session& session) {
  return RunListing(session, {.name = "list-unit-files",
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
              "target, global, replicas, reason.\nreplicas: how many instances of a template are "
              "kept. --state takes inactive, loaded, launched, and drifted: somebody else than "
              "fleet has changed it.",
          .example = "  fleetctl list-unit-files -o wide",
          .flags = ListFlags(),
          .run = RunListUnitFiles};
}

}  // namespace fleet::fleetctl
