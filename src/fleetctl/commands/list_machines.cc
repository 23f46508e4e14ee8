#include <algorithm>

#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/listing.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

// Of FleetLock: the group in which the machine has a slot, or waits for one.
std::string LockOf(const client::Machine& machine) {
  if (machine.lock_group.empty() || machine.has_lock) return machine.lock_group;
  return machine.lock_group + " (waits)";
}

std::vector<std::string> StatesOf(const client::Machine& machine) {
  std::vector<std::string> states = {machine.state};
  if (!machine.lock_group.empty()) states.emplace_back(machine.has_lock ? "locked" : "lock-waits");
  return states;
}

absl::StatusOr<std::vector<Row>> Read(Session& session, bool full, bool keep_json) {
  ASSIGN_OR_RETURN(std::vector<client::Machine> machines,
                   session.api().ListMachines(keep_json, session.flags().On("absent")));
  std::sort(machines.begin(), machines.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<Row> rows;
  rows.reserve(machines.size());
  for (client::Machine& machine : machines) {
    rows.push_back({.cells = {ShortId(machine.id, full), machine.primary_ip,
                              MetadataLabel(machine.metadata), machine.hostname, machine.state,
                              std::to_string(machine.units), machine.version, LockOf(machine)},
                    .name = machine.id,
                    .json = std::move(machine.json),
                    .machine_ids = {machine.id},
                    .states = StatesOf(machine),
                    .hostname = machine.hostname});
  }
  return rows;
}

int RunListMachines(Session& session) {
  if (session.flags().On("absent") && session.flags().On("watch")) {
    return session.Fail(absl::InvalidArgumentError(
        "--absent goes without --watch: of a machine that is away no change is told"));
  }
  return RunListing(session, {.name = "list-machines",
                              .default_fields = "machine,ip,metadata",
                              .read = Read,
                              .machines = true,
                              .names_are_units = false});
}

std::vector<FlagSpec> ListMachinesFlags() {
  std::vector<FlagSpec> flags = ListFlags();
  flags.push_back(
      {"absent", 0, "", "", "also machines that are away and of which something was set"});
  return flags;
}

}  // namespace

Command ListMachinesCommand() {
  return {
      .name = "list-machines",
      .summary = "List the machines of the cluster",
      .arguments = "[MACHINE…]",
      .description =
          "Machines by their ids, beginnings of those, host names, or quoted globs.\n"
          "Fields: machine, ip, metadata, hostname, state, units, version, lock.\nlock: the group "
          "in which the machine has a slot of FleetLock to reboot, or waits for one.",
      .example =
          "  fleetctl list-machines --full --no-legend --fields=machine,metadata\n"
          "  fleetctl list-machines --absent --state=locked --fields=machine,hostname,lock",
      .flags = ListMachinesFlags(),
      .run = RunListMachines};
}

}  // namespace fleet::fleetctl
