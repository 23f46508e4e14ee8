#include "reconcile/agent_action.h"

#include "absl/strings/str_join.h"

namespace fleet::reconcile {

namespace {

struct Words {
  std::string operator()(const FetchContent&) const { return {}; }
  std::string operator()(const CheckInstall&) const { return {}; }
  std::string operator()(const InstallUnit& a) const { return "install " + a.unit.name; }
  std::string operator()(const WriteNote&) const { return {}; }
  std::string operator()(const RemoveUnit& a) const { return "remove " + a.unit; }
  std::string operator()(const StartUnit& a) const { return "start " + a.unit; }
  std::string operator()(const StopUnit& a) const { return "stop " + a.unit; }
  std::string operator()(const ResetFailed& a) const { return "reset-failed " + a.unit; }
  std::string operator()(const CheckReload&) const { return {}; }
  std::string operator()(const LoadUnit& a) const { return "load " + a.unit; }
  std::string operator()(const Diagnose&) const { return {}; }
  std::string operator()(const EnableUnits& a) const {
    return "enable " + absl::StrJoin(a.units, " ");
  }
  std::string operator()(const DisableUnits& a) const {
    return "disable " + absl::StrJoin(a.units, " ");
  }
  std::string operator()(const ReloadSystemd&) const { return "daemon-reload"; }
};

}  // namespace

std::string Describe(const AgentAction& action) { return std::visit(Words(), action); }

}  // namespace fleet::reconcile
