#pragma once

// A cluster in memory that runs the engine's own decisions: records by name with revisions, guards
// checked as the store would, and agents that do at once what they are told. Plans are made with
// it, and tests.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "model/cluster_view.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/engine_settings.h"

namespace fleet::reconcile {

class SimulatedRegistry {
 public:
  SimulatedRegistry() = default;
  explicit SimulatedRegistry(const ClusterView& view);

  // Each of these is one revision.
  void PutUnit(const std::string& name, UnitRecord record);
  void EraseUnit(const std::string& name);
  void PutContent(std::shared_ptr<const UnitFile> file);
  void PutMachine(const std::string& id, MachineRecord record);
  void PutSettings(const std::string& id, MachineSettings settings);
  void PutHold(const HoldRecord& record);
  void PutRollout(const std::string& name, const RolloutRecord& record);
  void LoseMachine(const std::string& id);  // with its states
  void PutState(const std::string& machine, const std::string& unit, StateReport report);

  // The machine does what is assigned to it: live ones run, tombstones are gone, and if it is
  // leaving, all are.
  void RunAgent(const std::string& machine);
  // All present machines do what has been asked of them since they did last, or have reported
  // nothing about.
  void RunAgents();

  // Commits if all guards hold. The revision, or 0 if one does not.
  int64_t Commit(const Decision& decision);

  // What has changed since the last call, and what a first read gives.
  ViewChange TakeChange();
  ViewChange ReadAnew();
  // The records as they are.
  ClusterViewPtr view();
  const ClusterView& records() const { return view_; }
  int64_t revision() const { return revision_; }

 protected:
  ClusterView view_;
  int64_t revision_ = 1;
  void Note(Change::Record record, const std::string& name, const std::string& machine = "");

 private:
  bool Holds(const Guard& guard) const;
  void Answer(const UnitOnMachine& place);
  void StoreRollout(const std::string& name, const std::optional<RolloutRecord>& record);
  void StoreHold(const std::optional<HoldRecord>& record);
  template <typename T>
  Stored<T> Store(T value, const Stored<T>* before) const;

  std::vector<Change> changes_;
  std::vector<UnitOnMachine> told_;    // assignments that their agents have not seen
  std::vector<std::string> machines_;  // whose agents have to look at everything
};

// A registry and one engine on it, for which absent machines are lost from the beginning.
struct Simulation {
  Simulation(SimulatedRegistry* its_registry, const EngineSettings& settings);

  // One pass of the engine; how many decisions it made.
  size_t Pass();
  // Engine and agents in turn until nothing changes. False if they have not come to rest after so
  // many turns.
  bool Settle(size_t max_turns);

  SimulatedRegistry& registry;
  EngineReconciler engine;
  absl::Time now = absl::UnixEpoch();
  std::vector<EventEntry> events;  // of all that was committed
};

}  // namespace fleet::reconcile
