#pragma once

// What the agent's decisions ask of its shell. Each is answered by one call of the reconciler's
// On…() of the same name, except Report and WriteNote.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/local_unit.h"
#include "model/records.h"

namespace fleet::reconcile {

// The text of a unit file is needed.
struct FetchContent {
  std::string hash;
};
struct InstallUnit {
  host::InstalledUnit unit;
};
// Would InstallUnit succeed? Asked before what runs is stopped for it.
struct CheckInstall {
  host::InstalledUnit unit;
};
struct WriteNote {
  std::string unit;
  host::UnitNote note;
};
struct RemoveUnit {
  std::string unit;
};
struct StartUnit {
  std::string unit;
};
struct StopUnit {
  std::string unit;
};
struct ResetFailed {
  std::string unit;
};
// Does systemd have another version of the file loaded?
struct CheckReload {
  std::string unit;
};
struct LoadUnit {
  std::string unit;
};
// Why has it failed? (systemd's result, the last lines of its journal)
struct Diagnose {
  std::string unit;
};
struct EnableUnits {
  std::vector<std::string> units;
};
struct DisableUnits {
  std::vector<std::string> units;
};
struct ReloadSystemd {};

using AgentAction = std::variant<FetchContent, CheckInstall, InstallUnit, WriteNote, RemoveUnit,
                                 StartUnit, StopUnit, ResetFailed, CheckReload, LoadUnit, Diagnose,
                                 EnableUnits, DisableUnits, ReloadSystemd>;

// For the log: what systemd is asked for, "start a.service"; empty for what it is not told.
std::string Describe(const AgentAction& action);

// A write to states/<machine>/<unit>; without a report the record is deleted.
struct StateWrite {
  std::string unit;
  std::optional<StateReport> report;
};

}  // namespace fleet::reconcile
