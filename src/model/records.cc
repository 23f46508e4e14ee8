#include "model/records.h"

namespace fleet {

std::string_view ToString(DesiredState state) {
  switch (state) {
    case DesiredState::kInactive:
      return "inactive";
    case DesiredState::kLoaded:
      return "loaded";
    case DesiredState::kLaunched:
      return "launched";
  }
  return "unknown";
}

std::optional<DesiredState> ParseDesiredState(std::string_view text) {
  for (DesiredState state :
       {DesiredState::kInactive, DesiredState::kLoaded, DesiredState::kLaunched}) {
    if (text == ToString(state)) return state;
  }
  return std::nullopt;
}

std::string_view ToString(RolloutState state) {
  switch (state) {
    case RolloutState::kRunning:
      return "running";
    case RolloutState::kPaused:
      return "paused";
    case RolloutState::kDone:
      return "done";
    case RolloutState::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string_view ToString(AssignmentState state) {
  switch (state) {
    case AssignmentState::kLoaded:
      return "loaded";
    case AssignmentState::kLaunched:
      return "launched";
    case AssignmentState::kGone:
      return "gone";
  }
  return "unknown";
}

}  // namespace fleet
