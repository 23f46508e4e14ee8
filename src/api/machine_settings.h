#pragma once

// Changing what is said of machines. Internal to api/.

#include <functional>
#include <map>
#include <string>

#include "api/api_state.h"
#include "model/entity_tag.h"

namespace fleet::api {

using SettingsChanges = std::map<std::string, std::function<void(MachineSettings&)>>;  // by machine

// Changes the settings of all of them in one transaction, anew when somebody else wrote one of
// them. `answer` is what is responded with once the view shows it; 412 if what there is to be
// changed does not meet `condition`. Settings are always there, if only as those that nobody made.
void ChangeSettings(ApiState& state, SettingsChanges changes, Responder respond,
                    std::function<Response()> answer, Precondition condition = {});

// The same of one machine, answered with 204 and the tag of its settings as they were stored.
void ChangeSettingsOf(ApiState& state, const std::string& machine,
                      std::function<void(MachineSettings&)> change, Responder respond,
                      Precondition condition);

}  // namespace fleet::api
