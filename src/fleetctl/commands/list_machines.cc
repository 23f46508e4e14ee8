#include <algorithm>

#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/listing.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<std::vector<Row>> Read(Session& session, bool full, bool keep_json) {
  ASSIGN_OR_RETURN(std::vector<client::Machine> machines, session.api().ListMachines(keep_json));
  std::sort(machines.begin(), machines.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<Row> rows;
  rows.reserve(machines.size());
  for (client::Machine& machine : machines) {
    rows.push_back(
        {.cells = {ShortId(machine.id, full), machine.primary_ip, MetadataLabel(machine.metadata),
                   machine.hostname, machine.state, std::to_string(machine.units), machine.version},
         .name = machine.id,
         .json = std::move(machine.json),
         .machine_id = machine.id,
         .states = {machine.state}});
  }
  return rows;
}

int RunListMachines(Session& session) {
  return RunListing(
      session, {.fields = {"machine", "ip", "metadata", "hostname", "state", "units", "version"},
                .default_fields = "machine,ip,metadata",
                .read = Read,
                .machines = true,
                .names_are_units = false});
}

}  // namespace

Command ListMachinesCommand() {
  return {.name = "list-machines",
          .summary = "List the machines of the cluster",
          .arguments = "[ID…]",
          .description = "Fields: machine, ip, metadata, hostname, state, units, version.",
          .example = "  fleetctl list-machines --full --no-legend --fields=machine,metadata",
          .flags = ListFlags(),
          .run = RunListMachines};
}

}  // namespace fleet::fleetctl
