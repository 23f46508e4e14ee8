#pragma once

// submit, load and start: units from files or the registry towards a state.

#include <string>
#include <vector>

#include "fleetctl/command.h"
#include "fleetctl/waiter.h"

namespace fleet::fleetctl {

struct Deployment {
  std::string verb;
  Goal goal = Goal::kLaunched;
};

std::vector<FlagSpec> DeployFlags();
int Deploy(Session& session, const Deployment& deployment);

}  // namespace fleet::fleetctl
