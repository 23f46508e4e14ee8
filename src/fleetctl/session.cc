#include "fleetctl/session.h"

#include <fstream>
#include <utility>

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {

Session::Session(Environment environment, Parsed parsed, client::ClientOptions options)
    : environment_(std::move(environment)),
      parsed_(std::move(parsed)),
      options_(std::move(options)) {}

bool Session::HasNoColour() const {
  const auto set = environment_.variables.find("NO_COLOR");
  return set != environment_.variables.end() && !set->second.empty();
}

client::ApiClient& Session::api() {
  if (!api_) api_ = std::make_unique<client::ApiClient>(options_);
  return *api_;
}

const client::Machine* Session::FindMachine(const std::string& machine_id) {
  auto it = machines_.find(machine_id);
  if (it == machines_.end() && unknown_machines_.insert(machine_id).second) {
    auto machines = api().ListMachines();
    if (!machines.ok()) return nullptr;
    for (client::Machine& machine : *machines) {
      std::string id = machine.id;
      machines_[std::move(id)] = std::move(machine);
    }
    it = machines_.find(machine_id);
  }
  return it == machines_.end() ? nullptr : &it->second;
}

std::string Session::LabelOf(const std::string& machine_id) {
  if (machine_id.empty()) return "";
  const client::Machine* machine = FindMachine(machine_id);
  return MachineLabel(machine_id, machine == nullptr ? "" : machine->primary_ip,
                      flags().On("full"));
}

std::string Session::LocalMachineId() const {
  std::ifstream file(environment_.machine_id_file);
  std::string id;
  file >> id;
  return id;
}

int Session::Fail(const absl::Status& status) const {
  err() << "Error: " << MessageOf(status) << "\n";
  return ExitCodeOf(status);
}

}  // namespace fleet::fleetctl
