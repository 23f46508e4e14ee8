#pragma once

// The engine's decisions: (cluster view, what changed, now) → writes. Pure: no I/O, no clock, no
// threads; the same input gives the same output.
//
// A standby calls Apply() only and stays warm; a leader also calls Decide(). What has been decided
// and is not yet seen in the view is *in flight*: the unit is not judged again until it is, and the
// scheduler already counts it as done.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "model/cluster_view.h"
#include "reconcile/decision.h"
#include "reconcile/occupancy.h"

namespace fleet::reconcile {

class EngineReconciler {
 public:
  // A machine that this engine has never seen counts as lost only once `ttl` has passed since it
  // began to lead.
  explicit EngineReconciler(absl::Duration ttl);

  // Takes in a step of the mirror.
  void Apply(const ViewChange& change);

  // From now on Decide() may be called; everything is judged anew.
  void BeginLeading(absl::Time now);

  // Everything is judged anew at the next Decide() (the periodic sweep).
  void JudgeAll();

  // What is to be written, units in the order of their names. Empty if nothing has changed (L2).
  std::vector<Decision> Decide(absl::Time now);

  // A decision's fate. Committed: it is in flight until the view has reached `revision`. Rejected
  // (one of its guards did not hold when the store was at `revision`): it is judged again when the
  // view has got there. Failed (the
  // store did not do it, for a reason of its own): it is judged again at the next Decide().
  void OnCommitted(uint64_t decision, int64_t revision);
  void OnRejected(uint64_t decision, int64_t revision);
  void OnFailed(uint64_t decision);

  // Nothing is in flight any more (its fate is unknown, and whatever it was is in the view now).
  void ForgetInFlight();

  // When Decide() has to be called although nothing changed; InfiniteFuture if never.
  absl::Time NextWakeup() const { return next_wakeup_; }

  size_t units_in_flight() const { return in_flight_.size(); }
  // Those without a machine, and globals that are not on all of them.
  size_t units_waiting() const { return waiting_.size(); }

 private:
  struct InFlight {
    std::set<uint64_t> undecided;  // decisions whose fate is not known yet
    int64_t until_revision = 0;    // of the view, once all are known
  };

  // engine_reconciler.cc
  void ApplyOne(const Change& change);
  void ApplyReset();
  void MarkMachine(const std::string& machine);
  void MarkUnit(const std::string& unit);
  void SyncUnit(const std::string& unit);
  void LandInFlight();
  void Resolve(uint64_t decision, int64_t until_revision);

  // engine_replace.cc
  struct Replacement {
    bool is_decided = false;  // nothing is left to decide about the replacer in this turn
    std::string machine;      // where it goes now; empty: as if Replaces were absent
    std::string note;         // why Replaces has no effect; empty if it has, or matches nothing
  };
  struct Placed;
  Replacement JudgeReplacer(const std::string& unit, const Stored<UnitRecord>& record,
                            const Requirements& requirements, std::vector<Decision>& decisions);
  Replacement JudgeNominated(const std::string& unit, const UnitRecord& record,
                             const Requirements& requirements);
  bool TakesMachineOf(const std::string& victim, const std::string& unit,
                      const Stored<UnitRecord>& record, const Requirements& requirements,
                      std::vector<Decision>& decisions);
  std::vector<std::string> UnitsMatching(const std::vector<std::string>& globs) const;
  std::string CircleOfReplacers(const std::string& unit, const Requirements& requirements);
  bool IsBeingMoved(const std::string& unit) const;
  bool IsPlaced(const std::string& unit) const;

  // engine_judge.cc
  struct Placed {
    std::string machine;
    const Stored<Assignment>* stored = nullptr;
  };
  void Judge(const std::string& unit, std::vector<Decision>& decisions);
  void JudgeSingle(const std::string& unit, const Stored<UnitRecord>* record,
                   const scheduler::RequirementsPtr& requirements,
                   std::vector<Decision>& decisions);
  void JudgeGlobal(const std::string& unit, const Stored<UnitRecord>& record,
                   const Requirements& requirements, std::vector<Decision>& decisions);
  void JudgeUnwanted(const std::string& unit, const Stored<UnitRecord>* record,
                     std::vector<Decision>& decisions);
  bool JudgeOrphans(const std::string& unit, const Stored<UnitRecord>& record,
                    const std::optional<Placed>& live, const Requirements& requirements,
                    std::vector<Decision>& decisions);
  void JudgeAssigned(const std::string& unit, const Stored<UnitRecord>& record,
                     const Requirements& requirements, const Placed& live,
                     std::vector<Decision>& decisions);
  void JudgeUnassigned(const std::string& unit, const Stored<UnitRecord>& record,
                       const Requirements& requirements, const std::vector<Placed>& tombstones,
                       std::vector<Decision>& decisions);
  void Refuse(const std::string& unit, const Stored<UnitRecord>& record, const std::string& reason,
              std::vector<Decision>& decisions);
  std::string MustLeave(const std::string& unit, const Requirements& requirements,
                        const Placed& live) const;
  void UpdateInPlace(const std::string& unit, const UnitRecord& record, const Placed& live,
                     std::vector<Decision>& decisions);
  void ClearRefusal(const std::string& unit, const Stored<UnitRecord>& record,
                    const std::string& reason, std::vector<Decision>& decisions);
  bool IsLost(const std::string& machine);
  Decision Begin(const std::string& unit, EventEntry event);
  void Emit(Decision decision, std::vector<Decision>& decisions);
  void GuardUnit(Decision& decision, const std::string& unit) const;
  void GuardTarget(Decision& decision, const std::string& machine) const;
  void GuardMachine(Decision& decision, const std::string& machine) const;
  void GuardAssignment(Decision& decision, const std::string& unit,
                       const std::string& machine) const;
  void GuardFollowed(Decision& decision, const Requirements& requirements,
                     const std::string& machine) const;
  bool FollowsOneInFlight(const Requirements& requirements);
  // Judged again at each change of any unit.
  void HoldBack(const std::string& unit) { held_back_.insert(unit); }
  void PutNewAssignment(Decision& decision, const UnitRecord& record, const std::string& machine);
  void PutTombstone(Decision& decision, const Placed& live, const std::string& next);
  std::vector<Placed> AssignmentsOf(const std::string& unit) const;

  const absl::Duration ttl_;
  ClusterViewPtr view_;
  Occupancy occupancy_;
  std::set<std::string> dirty_;
  std::set<std::string> held_back_;  // until some other unit's move or placement is through
  std::set<std::string> waiting_;    // refused ones, and globals that are not on all machines:
                                     // judged again whenever room may have come up
  std::map<std::string, InFlight> in_flight_;
  absl::flat_hash_map<uint64_t, std::vector<std::string>> units_of_decision_;
  uint64_t last_decision_ = 0;
  std::set<std::string> seen_machines_;  // present in some view that this engine has had
  absl::Time leading_since_ = absl::InfinitePast();
  absl::Time now_ = absl::InfinitePast();
  absl::Time next_wakeup_ = absl::InfiniteFuture();
  std::set<std::string> at_wakeup_;  // to be judged then
};

}  // namespace fleet::reconcile
