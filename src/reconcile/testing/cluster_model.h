#pragma once

// A registry in memory for tests of the engine's decisions: records by name, revisions, guards
// checked as the store would.

#include <map>
#include <string>
#include <vector>

#include "model/cluster_view.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile::testing {

class ClusterModel {
 public:
  // Changes by users and agents; each is one revision. PutUnit keeps the uid of a unit that exists.
  void PutUnit(const std::string& name, const std::string& text,
               DesiredState desired = DesiredState::kLaunched);
  void SetDesired(const std::string& name, DesiredState desired);
  void Restart(const std::string& name);
  void DestroyUnit(const std::string& name);
  void PutMachine(const std::string& id, std::map<std::string, std::string> metadata = {},
                  bool leaving = false);
  void LoseMachine(const std::string& id);  // with its states
  // The machine does what is assigned: live ones run, tombstones are gone.
  void RunAgent(const std::string& machine);
  void Report(const std::string& machine, const std::string& unit, StateReport report);
  void PutUnreadableUnit(const std::string& name);

  // What has changed since the last call.
  ViewChange TakeChange();
  ViewChange ReadAnew();
  ClusterViewPtr view();
  int64_t revision() const { return revision_; }

  // Commits if all guards hold. The revision, or 0 if one does not.
  int64_t Commit(const Decision& decision);

  // Where the unit is assigned and not a tombstone.
  std::vector<std::string> MachinesOf(const std::string& unit);
  const Assignment* AssignmentOf(const std::string& unit, const std::string& machine);
  const UnitRecord& Unit(const std::string& unit);

 private:
  bool Holds(const Guard& guard);
  void Note(Change::Record record, const std::string& name, const std::string& machine = "");
  template <typename T>
  Stored<T> Store(T value, const Stored<T>* before);

  ClusterView view_;
  int64_t revision_ = 1;
  int uids_ = 0;
  std::vector<Change> changes_;
};

// A model with one leading engine: Settle() lets engine and agents go on until nothing changes.
struct Cluster {
  ClusterModel model;
  EngineReconciler engine{absl::Seconds(10)};
  absl::Time now = absl::UnixEpoch();
  std::vector<EventEntry> events;

  Cluster();
  // One pass of the engine; how many decisions it made.
  size_t Pass();
  // Engine and the agents of all present machines in turn. REQUIRES that they come to rest.
  void Settle();
};

}  // namespace fleet::reconcile::testing
