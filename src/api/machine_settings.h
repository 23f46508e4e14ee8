#pragma once

// Changing what is said of machines. Internal to api/.

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "api/api_state.h"

namespace fleet::api {

// The machine that is meant by its id or the beginning of one, among those that are there, have
// something assigned or have settings: settings last while a machine is away.
absl::StatusOr<std::string> FindKnownMachine(const ClusterView& view, const std::string& id);

using SettingsChanges = std::map<std::string, std::function<void(MachineSettings&)>>;  // by machine

// Changes the settings of all of them in one transaction, anew when somebody else wrote one of
// them. `answer` is what is responded with once the view shows it.
void ChangeSettings(ApiState& state, SettingsChanges changes, Responder respond,
                    std::function<Response()> answer);

}  // namespace fleet::api
