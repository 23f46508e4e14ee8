#include <algorithm>
#include <utility>

#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/explanation_text.h"
#include "fleetctl/manager.h"
#include "fleetctl/output.h"
#include "fleetctl/remote.h"
#include "fleetctl/ssh.h"

namespace fleet::fleetctl {
namespace {

// A line per machine, from the API.
int StatusOfGlobal(Session& session, const client::Unit& unit) {
  Table table({});
  int code = kDone;
  for (const client::UnitOnMachine& there : unit.machines) {
    table.Add({unit.name, session.LabelOf(there.machine_id), there.load_state, there.active_state,
               there.sub_state});
    if (there.active_state != "active") code = kNotActive;
  }
  if (unit.machines.empty()) {
    session.err() << "Unit " << unit.name << " is global and on no machine"
                  << (unit.status.reason.empty() ? "" : ": ") << unit.status.reason << "\n";
    return kNotActive;
  }
  session.out() << table.Render();
  return code;
}

// What systemctl does not know: that it should be otherwise, and why it is not.
void WarnIfNotAsWanted(Session& session, const client::Unit& unit) {
  const auto warn = [&](const client::UnitOnMachine& there) {
    const std::string& why = NotAsWanted(there);
    if (why.empty()) return;
    session.err() << "WARNING: Unit " << unit.name << " is not as fleet wants it on "
                  << session.LabelOf(there.machine_id) << ": " << why << "\n";
  };
  warn(unit.status);
  for (const client::UnitOnMachine& there : unit.machines) warn(there);
}

int StatusOf(Session& session, const client::Unit& unit) {
  if (unit.global) return StatusOfGlobal(session, unit);
  if (IsTemplate(unit.name)) {
    session.out() << "Unit " << unit.name << " is a template";
    if (unit.replicas) session.out() << ", of which " << *unit.replicas << " instances are kept";
    session.out() << "\n";
    return kNotActive;
  }
  const auto machine = MachineOfUnit(unit);
  if (!machine.ok()) {
    session.err() << "Error: " << MessageOf(machine.status()) << "\n";
    return kNotActive;
  }
  const auto code = RunOn(session, *machine, StatusLine(ManagerOf(session, *machine), unit.name));
  if (!code.ok()) return session.Fail(code.status());
  return *code == kSshFailed ? kFailed : *code;
}

// What the API has of a unit, without a look at its machine.
int EntityOf(Session& session, const std::string& name, std::vector<std::string>& entities) {
  const auto unit = session.api().GetUnit(name, /*keep_json=*/true);
  if (!unit.ok()) return session.Fail(unit.status());
  entities.push_back(unit->json);
  const auto is_active = [](const client::UnitOnMachine& there) {
    return there.active_state == "active";
  };
  const bool active = unit->global
                          ? !unit->machines.empty() &&
                                std::all_of(unit->machines.begin(), unit->machines.end(), is_active)
                          : is_active(unit->status);
  return active ? kDone : kNotActive;
}

int RunStatus(Session& session) {
  const std::string format = session.flags().Text("output");
  const absl::Status known = CheckFormat(session.flags());
  if (!known.ok()) return session.Fail(known);
  auto selection = SelectUnits(session.api(), session.arguments());
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  if (HasEntities(format) || format == "name") {
    std::vector<std::string> entities;
    for (const client::Unit& unit : selection->units) {
      if (const int code = EntityOf(session, unit.name, entities); code != kDone)
        verdict.Fail(unit.name, code);
      if (format == "name") session.out() << unit.name << "\n";
    }
    if (HasEntities(format) && !entities.empty())
      session.out() << RenderEntities(entities, format, /*as_list=*/selection->units.size() > 1);
    return verdict.code();
  }
  bool first = true;
  for (client::Unit& unit : selection->units) {
    if (!std::exchange(first, false)) session.out() << "\n";
    if (unit.global && unit.machines.empty()) {
      if (auto whole = session.api().GetUnit(unit.name); whole.ok()) unit = *std::move(whole);
    }
    WarnIfNotAsWanted(session, unit);
    if (const int code = StatusOf(session, unit); code != kDone) verdict.Fail(unit.name, code);
  }
  return verdict.code();
}

}  // namespace

Command StatusCommand() {
  return {.name = "status",
          .summary = "Show systemctl status of units, where they run",
          .arguments = "NAME…",
          .description =
              "Runs here if the unit is on this machine, else over ssh. Of a global "
              "unit: a line per machine. With -o json or yaml: what the API has of it.",
          .example =
              "  fleetctl status hello.service\n"
              "  fleetctl status -o json 'web@*'",
          .flags = {OutputFlag("text or table, wide, json, yaml or name"),
                    SshPortFlag(),
                    {.name = "no-block"}},
          .run = RunStatus,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
