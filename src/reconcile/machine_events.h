#pragma once

// What happens to machines, as the log tells it: they come and go, are closed, emptied and opened
// again. Nothing is decided by it. Pure.
//
// It is found by comparing each view with the one before. What was before the first view of a
// registry is not known, and nothing is told of it.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/cluster_view.h"

namespace fleet::reconcile {

class MachineEvents {
 public:
  MachineEvents();

  // Takes in a step of the mirror.
  void Apply(const ViewChange& change);

  // What has happened since the last call, in that order; those of one view by machine.
  std::vector<EventEntry> Take();

 private:
  void Begin();
  void Compare(const ClusterView& before, const std::string& machine);
  void ComparePresence(const ClusterView& before, const std::string& machine);
  void CompareSettings(const MachineSettings& was, const MachineSettings& is,
                       const std::string& machine);
  void FindLeft(const std::set<std::string>& machines);
  void Look(const UnitOnMachine& place);
  void TellDrained();
  void Tell(const char* kind, const std::string& machine, std::string reason);

  ClusterViewPtr view_;
  std::vector<EventEntry> events_;
  // Machines that are to be emptied, and of which that is yet to be told: what is left there.
  std::map<std::string, std::set<std::string>> emptying_;
};

}  // namespace fleet::reconcile
