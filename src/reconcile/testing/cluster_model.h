#pragma once

// A simulated cluster with what tests of the engine's decisions say often.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/cluster_view.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/simulation.h"

namespace fleet::reconcile::testing {

// A unit file with this [X-Fleet] section.
std::string Text(const std::string& fleet_options = "");

class ClusterModel : public SimulatedRegistry {
 public:
  // All features are enabled.
  ClusterModel();

  // Changes by users and agents; each is one revision. PutUnit keeps the uid of a unit that exists.
  void PutUnit(const std::string& name, const std::string& text,
               DesiredState desired = DesiredState::kLaunched);
  void SetDesired(const std::string& name, DesiredState desired);
  void SetMoveTo(const std::string& name, const std::string& machine);
  void Restart(const std::string& name);
  void DestroyUnit(const std::string& name) { EraseUnit(name); }
  void PutMachine(const std::string& id, std::map<std::string, std::string> metadata = {},
                  bool leaving = false);
  // With a capacity, in cores and GiB.
  void PutMachineOf(const std::string& id, int64_t cores, int64_t gib,
                    std::map<std::string, std::string> metadata = {});
  // With a version that knows these features.
  void PutMachineOfVersion(const std::string& id, const std::vector<std::string>& features);
  // These alone.
  void EnableFeatures(const std::vector<std::string>& features);
  // Without an id it is a new one.
  void NameCluster(const std::string& id);
  void Report(const std::string& machine, const std::string& unit, StateReport report) {
    PutState(machine, unit, std::move(report));
  }
  void PutUnreadableUnit(const std::string& name);
  void PutUnreadable(const std::string& key);  // "machines/m1"; it had no record

  // Where the unit is assigned and not a tombstone.
  std::vector<std::string> MachinesOf(const std::string& unit) const;
  const Assignment* AssignmentOf(const std::string& unit, const std::string& machine) const;
  const UnitRecord& Unit(const std::string& unit) const;

 private:
  int uids_ = 0;
};

// A model with one engine, which begins to lead.
class Cluster {
 public:
  explicit Cluster(const EngineSettings& settings = {});

  // One pass of the engine; how many decisions it made.
  size_t Pass() { return simulation_->Pass(); }
  // The engine alone, until it has nothing to do.
  void PassUntilIdle();
  // Engine and the agents of all present machines in turn. REQUIRES that they come to rest.
  void Settle();

 private:
  std::unique_ptr<ClusterModel> model_;
  std::unique_ptr<Simulation> simulation_;

 public:
  ClusterModel& model;
  EngineReconciler& engine;
  absl::Time& now;
  std::vector<EventEntry>& events;
};

}  // namespace fleet::reconcile::testing
