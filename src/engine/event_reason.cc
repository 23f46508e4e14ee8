#include "engine/event_reason.h"

#include <array>

namespace fleet::engine {

namespace {

struct Class {
  std::string_view phrase;  // of the sentences that decisions give
  std::string_view name;
};

// The first one that a sentence contains counts. tests/monitoring checks that reconcile/ and
// scheduler/ still say each of them.
constexpr std::array kClasses = {
    Class{" must leave: ", "constraint"},
    Class{"Conflicts", "constraint"},
    Class{"MachineMetadata ", "constraint"},
    Class{"MachineID ", "constraint"},
    Class{"MachineOf ", "constraint"},
    Class{"CollocateWithin ", "constraint"},
    Class{"ReserveCPU=", "constraint"},
    Class{"ReserveMemory=", "constraint"},
    Class{" is lost", "machine_lost"},
    Class{" has left the cluster", "machine_left"},
    Class{" replaces it", "replaced"},
    Class{" needs its room", "preempted"},
    Class{"what was in its way has left it", "preempted"},
    Class{"it was being moved", "moving"},
    Class{"rebalance", "rebalance"},
    Class{" is drained", "drain"},
    Class{" drain has passed", "drain"},
    Class{"FleetLock", "fleetlock"},
    Class{"rolling ", "rollout"},
    Class{" asks for ", "scale"},
    Class{"it has failed there", "unit_failed"},
    Class{"loaded eligible machine", "scheduled"},
    Class{"global", "global"},
    Class{"it runs there already", "adopted"},
    Class{"the unit was destroyed", "destroyed"},
    Class{"destroyed before", "destroyed"},
    Class{"it was unloaded", "unloaded"},
    Class{"its desired state is ", "desired_state"},
    Class{"it has a new text", "new_text"},
    Class{"a restart", "restart"},
    Class{"a start", "start"},
    Class{"it is assigned to ", "elsewhere"},
};

}  // namespace

std::string_view ReasonClass(std::string_view reason) {
  for (const Class& one : kClasses) {
    if (reason.find(one.phrase) != std::string_view::npos) return one.name;
  }
  return "other";
}

}  // namespace fleet::engine
