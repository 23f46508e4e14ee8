#pragma once

// The invariants of docs/architecture.md, section 3, checked at each revision of the registry, at
// each beginning and end of a unit's run, and when all should have come to rest. It knows the
// truth: what etcd holds and what really runs; it never asks fleet.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/cluster_view.h"
#include "registry/keys.h"
#include "registry/view_builder.h"
#include "scheduler/testing/naive.h"
#include "sim/etcd.h"
#include "sim/os.h"

namespace fleet::sim {

struct Violation {
  std::string invariant;  // "S1"
  std::string what;
};

// A machine as it really is.
struct MachineTruth {
  const Os* os = nullptr;
  std::string id;
  bool leaves = false;  // its fleetd was told to stop for good
  bool runs_fleetd = false;
  bool is_duplicate = false;  // another machine has the id, and had it first
};

class Checker final : public RunObserver {
 public:
  // `machines` gives the truth by the name that each Os has.
  Checker(const registry::Keys& keys, std::function<std::map<std::string, MachineTruth>()> machines,
          std::function<void(const std::string&)> trace);

  void OnRevision(const Revision& revision);
  // The registry was replaced by an older one: a new incarnation.
  void OnRestore(const std::map<std::string, store::KeyValue>& contents, int64_t revision);

  void OnRunBegan(const std::string& machine, const std::string& unit,
                  const host::UnitNote& note) override;
  void OnRunEnded(const std::string& machine, const std::string& unit) override;
  void OnStopAsked(const std::string& machine, const std::string& unit) override;
  void OnNote(const std::string& machine, const std::string& what) override {
    trace_(machine + " " + what);
  }

  // L1 and L3: all is as it is wanted.
  void CheckConverged();
  // L2 and C1: from now on nothing but keep-alives (and the removal of unused texts) may happen.
  void BeginQuiet() { quiet_ = true; }

  // What the user was told is stored (S4).
  struct Promise {
    bool exists = false;
    DesiredState desired = DesiredState::kInactive;
    std::string content_hash;
  };
  void CheckPromise(const std::string& unit, const Promise& promise);

  const std::vector<Violation>& violations() const { return violations_; }
  bool was_restored() const { return restored_; }
  // How many placements and moves were seen, and runs of units began.
  uint64_t placements() const { return placements_; }
  uint64_t runs() const { return run_count_; }
  ClusterViewPtr view() const { return view_; }

 private:
  using Place = std::pair<std::string, std::string>;  // machine, unit
  struct Run {
    host::UnitNote note;
    uint64_t order = 0;  // the last one that had been given
  };
  struct Order {
    uint64_t number = 0;
    Assignment assignment;
  };

  void Violate(const char* invariant, std::string what);
  void CheckAssignmentPut(const ClusterView& before, const std::string& unit,
                          const std::string& machine, const Assignment& put);
  void CheckNewPlace(const ClusterView& before, const std::string& unit, const std::string& machine,
                     const Assignment& put);
  void CheckEvents(const Revision& revision, const ClusterView& before);
  void CheckVoluntary(const EventEntry& entry);
  void CheckAtOnce(const std::string& uid);
  void CheckFits(const ClusterView& before, const std::string& unit, const UnitRecord& record);
  void CheckSlots(const std::string& machine);
  void CheckFeatures(const ClusterView& before);
  void NoteMachineGone(const ClusterView& before, const std::string& machine);
  void NoteMachineBack(const std::string& machine);
  void NoteOrder(const std::string& machine, const std::string& unit, const Assignment& order);
  std::shared_ptr<const Requirements> RequirementsOf(const std::string& unit,
                                                     const std::string& hash) const;
  // `reports`: also what is only reported, of units of no record or of another uid, occupies.
  scheduler::Naive Oracle(const std::string& without, bool reports) const;
  void CheckWanted(const std::string& unit, const UnitRecord& record, const Requirements& needs);
  void CheckActual(const std::string& unit, const std::string& machine, const Assignment& live);
  void CheckUnplaced(const std::string& unit, const UnitRecord& record, const Requirements& needs);
  void CheckEmptied();
  static bool IsClosed(const ClusterView& view, const std::string& machine);
  bool IsFollowed(const std::string& unit) const;
  bool HasFailedSibling(const std::string& unit) const;
  void CheckNothingElseRuns();
  // checker_rollouts.cc
  void CheckRolling(const ClusterView& before, const std::vector<Change>& changes);
  void CheckReplicas();
  void CheckRolloutsEnded();
  bool IsGlobal(const std::string& unit) const;
  const MachineTruth* TruthOf(const std::string& id) const;
  // Another machine has had the same id: what it told the registry is not true of this one.
  static bool HasTwin(const std::map<std::string, MachineTruth>& truth, const std::string& id);

  const registry::Keys keys_;
  const std::function<std::map<std::string, MachineTruth>()> machines_;
  const std::function<void(const std::string&)> trace_;
  registry::ViewBuilder builder_;
  ClusterViewPtr view_;
  std::map<std::string, MachineTruth> truth_;   // while a check runs
  std::map<std::string, int64_t> generations_;  // the highest, by uid (and machine)
  std::map<Place, Run> running_;                // by the Os's name
  std::map<Place, std::deque<Order>> orders_;   // by the machine's id
  uint64_t last_order_ = 0;
  // A copy here may run beside another one (S1): its machine's lease has ended, and it has not come
  // back and stopped it yet.
  std::set<Place> excused_;
  // Tombstones whose unit has been reported gone, or was placed anew because their machine was
  // absent.
  std::set<Place> ended_;
  // The last voluntary move of a unit: off which machine.
  std::map<std::string, std::string> voluntary_;
  mutable std::map<std::pair<std::string, std::string>, std::shared_ptr<const Requirements>>
      requirements_;
  int64_t zones_revision_ = -1000;  // of the last change of machines or their metadata
  bool restored_ = false;
  bool quiet_ = false;
  std::map<std::string, std::string> rolling_;  // units that a rollout has taken down, and which
  std::set<std::string> retold_;  // units whose refusal was written anew in the quiet, once each
  uint64_t placements_ = 0;
  uint64_t run_count_ = 0;
  std::vector<Violation> violations_;
};

}  // namespace fleet::sim
