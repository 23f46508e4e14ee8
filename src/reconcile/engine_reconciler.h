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
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "model/cluster_view.h"
#include "model/unit_status.h"
#include "reconcile/absences.h"
#include "reconcile/decision.h"
#include "reconcile/engine_settings.h"
#include "reconcile/mass_loss.h"
#include "reconcile/occupancy.h"

namespace fleet::reconcile {

struct HeldUnit;
struct RebalanceMove;
struct UnitExplanation;

class EngineReconciler {
 public:
  explicit EngineReconciler(EngineSettings settings);

  // Takes in a step of the mirror.
  void Apply(const ViewChange& change);

  // From now on Decide() may be called; everything is judged anew.
  void BeginLeading(absl::Time now);

  // Everything is judged anew at the next Decide() (the periodic sweep).
  void JudgeAll();

  // What is to be written: units of the highest priority first, then in the order of their names.
  // Empty if nothing has changed (L2). `now` never jumps; `wall_now` is what records and users say,
  // and never measures a span.
  std::vector<Decision> Decide(absl::Time now, absl::Time wall_now);
  std::vector<Decision> Decide(absl::Time now) { return Decide(now, now); }

  // A decision's fate. Committed: it is in flight until the view has reached `revision`. Rejected
  // (one of its guards did not hold when the store was at `revision`): it is judged again when the
  // view has got there. Failed (the store did not do it, for a reason of its own): it is judged
  // again at the next Decide().
  void OnCommitted(uint64_t decision, int64_t revision);
  void OnRejected(uint64_t decision, int64_t revision);
  void OnFailed(uint64_t decision);

  // Nothing is in flight any more (its fate is unknown, and whatever it was is in the view now).
  void ForgetInFlight();

  // When Decide() has to be called although nothing changed; InfiniteFuture if never.
  absl::Time NextWakeup() const;

  size_t units_in_flight() const { return in_flight_.size(); }
  // Those without a machine, and globals that are not on all of them.
  size_t units_waiting() const { return waiting_.size(); }
  // Those that a drain finds no machine for.
  size_t units_stuck() const { return stuck_.size(); }
  // How often it has gone through the units of one name of a rollout, which is what those cost.
  size_t rollout_walks() const { return rollout_walks_; }

  // What ExplainUnit(), PlanRebalance() and ExplainDrain() of planner.h say, of the view as it is.
  UnitExplanation Explain(const std::string& unit);
  std::vector<RebalanceMove> FindMoves(size_t max_moves);
  std::vector<HeldUnit> FindHeld(const std::string& machine);

 private:
  struct InFlight {
    std::set<uint64_t> undecided;  // decisions whose fate is not known yet
    int64_t until_revision = 0;    // of the view, once all are known
  };
  struct Placed {
    std::string machine;
    const Stored<Assignment>* stored = nullptr;
  };
  // A unit that is wanted, can be read and is not global.
  struct Member {
    std::string unit;
    const Stored<UnitRecord>* record = nullptr;
    scheduler::RequirementsPtr requirements;
    scheduler::UnitId id = 0;
    std::vector<Placed> placed;  // all its assignments
  };
  // Units that share a machine (MachineOf), those that are followed first. Never empty.
  using Group = std::vector<Member>;
  // What a group that is to be placed comes from.
  struct Origin {
    enum class Kind {
      kNowhere,  // none of it is live
      kLost,     // all of it is live on `machine`, which is lost,
      kLeft,     // or on which it has been reported gone
    };
    Kind kind = Kind::kNowhere;
    std::string machine;
  };

  // engine_reconciler.cc
  void ApplyOne(const Change& change);
  void ApplyReset();
  void SyncMachine(const std::string& machine);
  void MarkMachine(const std::string& machine);
  void MarkUnit(const std::string& unit);
  void SyncUnit(const std::string& unit);
  void MarkThoseThatWaitWith(const std::string& unit);
  void MarkThoseThatCouldPushOut(const std::string& unit);
  void MarkDirty(const std::string& unit);
  void ForgetWaiting(const std::string& unit);
  template <typename Units>
  void MarkAllDirty(const Units& units) {
    for (const std::string& unit : units) MarkDirty(unit);
  }
  void LandInFlight();
  void Land(const std::string& unit);
  void Resolve(uint64_t decision, int64_t until_revision);

  // engine_judge.cc: one unit
  void Judge(const std::string& unit, std::vector<Decision>& decisions);
  void JudgeOne(const std::string& unit, std::vector<Decision>& decisions);
  std::vector<std::string> DirtyOnesItFollows(const std::string& unit);
  void JudgeSingle(const Member& member, std::vector<Decision>& decisions);
  void JudgeUnwanted(const std::string& unit, const Stored<UnitRecord>* record,
                     std::vector<Decision>& decisions);
  bool JudgeOrphans(const Member& member, const std::optional<Placed>& live,
                    std::vector<Decision>& decisions);
  const StateReport* AnotherThan(const std::string& unit, const Placed& tombstone) const;
  void StopOrphan(Decision decision, const UnitOnMachine& place, const StateReport& report,
                  const std::string& why, std::vector<Decision>& decisions);
  void JudgeAssigned(const Member& member, const Placed& live, std::vector<Decision>& decisions);
  void JudgeUnassigned(const Member& member, std::vector<Decision>& decisions);
  void UpdateInPlace(const Member& member, const Placed& live, std::vector<Decision>& decisions);
  void ClearNotes(const std::string& unit, const Stored<UnitRecord>& record,
                  const std::string& reason, std::vector<Decision>& decisions);
  void Refuse(const std::string& unit, const Stored<UnitRecord>& record, const std::string& reason,
              std::vector<Decision>& decisions);
  std::string MustLeave(const Member& member, const Placed& live);
  bool AreTooClose(const Member& member, const std::string& machine, const std::string& other,
                   const std::string& its_machine) const;
  // Judged again at each change of any unit.
  void HoldBack(const std::string& unit) { held_back_.insert(unit); }

  // engine_absence.cc: machines that are not there
  bool IsLost(const std::string& machine);
  bool HasEnded(const Member& member, const Placed& placed);
  enum class Others { kCount, kDoNotCount };
  bool HasEndedEverywhere(const Member& member, Others others);
  bool MustStopOnIsolation(const Member& member, const Assignment& assignment) const;
  bool CountsNow(const std::string& machine, absl::Time at);
  void JudgeMassLoss(std::vector<Decision>& decisions);
  void WriteHold(std::vector<Decision>& decisions);
  std::set<std::string> AbsentOnesWithUnits() const;
  void ForgetAbsent();
  void SyncUnsteady();
  void SyncForgotten(const std::string& machine);
  bool ForgetAssignments(const std::string& unit, std::vector<Decision>& decisions);
  void ClearForgotten(std::vector<Decision>& decisions);
  std::string WhatHoldsLost(const Group& group, const std::string& machine) const;

  // engine_features.cc: records of other versions
  void MarkFeatures();
  void EnableFeatures(std::vector<Decision>& decisions);
  const std::string& WhyNotYet(const std::string& feature);
  std::string WhyTooEarly(const Member& member);
  std::string WhatItLacks(const UnitRecord& record) const;

  // engine_reschedule.cc
  const StateReport* AnswerTo(const Member& member, const Placed& live) const;
  bool JudgeFailure(const Member& member, const Placed& live, std::vector<Decision>& decisions);
  bool IsTied(const Member& member) const;
  std::optional<std::string> ChooseUntried(const Member& member, const std::string& avoid) const;
  std::string WhatFailureMeans(const Member& member, const Placed& live);

  // engine_global.cc
  void JudgeGlobal(const Member& member, std::vector<Decision>& decisions);

  // engine_group.cc: which units are placed together
  std::optional<Member> FindMember(const std::string& unit);
  const std::string& TextOf(const std::string& unit, const UnitRecord& record) const;
  bool FollowsOneOf(const std::string& unit, const std::map<std::string, Member>& members);
  Group GroupOf(const Member& first, absl::FunctionRef<bool(const Member&)> belongs);
  Group UnplacedGroup(const Member& member);
  Group GroupOn(const Member& member, const std::string& machine);
  static std::vector<scheduler::UnitId> IdsOf(const Group& group);
  static Group FollowersWithin(const Group& group, const std::string& unit);
  const Stored<Assignment>* LiveOn(const Member& member, const std::string& machine) const;
  std::optional<Placed> LiveOf(const Member& member) const;
  bool IsOnlyOn(const Member& member, const std::string& machine) const;
  bool IsFree(const Member& member);
  bool IsReadyFor(const Member& member, const Origin& origin);
  bool FollowsOneInFlight(const Group& group);
  bool IsPlaced(const std::string& unit) const;
  static bool Follows(const Requirements& requirements) {
    return !requirements.machine_of.empty() || !requirements.collocate_within.empty();
  }
  bool IsWanted(const std::string& unit) const;
  bool IsFollowed(const std::string& unit) const;

  // engine_place.cc: where they go
  void PlaceGroup(const std::string& judged, const Group& group, const Origin& origin,
                  std::vector<Decision>& decisions);
  void Cover(const std::string& unit);
  void HoldGroupBack(const std::string& judged, const Group& group, const Origin& origin);
  // What is reserved for some of a group already.
  struct Reserved {
    bool has_to_wait = false;  // until others have left the machine
    std::string machine;
    Group group;         // those that go there now; empty if none
    std::string reason;  // why they do
    std::string note;    // why the reservation is of no use
  };
  Reserved UseReservation(const std::string& judged, const Group& group);
  void PlaceAt(const std::string& machine, const Group& group, const Origin& origin,
               const std::string& reason, std::vector<Decision>& decisions);
  void AddPlacement(Decision& decision, const Member& member, const std::string& machine,
                    const Origin& origin, const std::string& reason) const;
  void ReleaseTombstones(Decision& decision, const Member& member, const std::string& target) const;
  void RefuseGroup(const Group& group, const Origin& origin, const std::string& reason,
                   std::vector<Decision>& decisions);
  void MoveAway(const Member& member, const Placed& live, const std::string& why,
                std::vector<Decision>& decisions);
  std::string ReasonOfPlacement(const Group& group, const Origin& origin) const;
  std::optional<std::string> ChooseFor(const Group& group, const std::string& avoid);
  std::optional<std::string> ChooseAmongOpen(const Group& group, const std::string& avoid) const;

  // engine_replace.cc
  struct Replacement {
    bool is_decided = false;  // nothing is left to decide about the replacer in this turn
    std::string note;         // why Replaces has no effect; empty if it has, or matches nothing
  };
  Replacement JudgeReplacer(const Group& group, std::vector<Decision>& decisions);
  bool TakesMachineOf(const std::string& victim, const Member& replacer, const Group& group,
                      std::vector<Decision>& decisions);
  std::vector<std::string> UnitsMatching(const std::vector<std::string>& globs) const;
  std::string CircleOfReplacers(const std::string& unit, const Requirements& requirements);
  bool IsBeingMoved(const std::string& unit) const;

  // engine_preempt.cc
  bool PushesOut(const Group& group, std::vector<Decision>& decisions);
  std::optional<scheduler::Preemption> WhatWouldBePushedOut(const Group& group);
  bool MayBePushedOut(const std::string& unit);
  void Nominate(Decision& decision, const Group& group, const std::string& machine) const;

  // engine_rebalance.cc
  void SyncMover(const std::string& unit);
  bool JudgeMover(const Member& member, const Placed& live, std::vector<Decision>& decisions);
  std::string RulesOutMove(const Member& member, const Placed& live) const;
  void BeginRebalance(std::vector<Decision>& decisions);
  bool MayBeRebalanced(const std::string& unit);

  // engine_replicas.cc: instances that a template asks for
  std::optional<int64_t> ReplicasOf(const std::string& template_name);
  bool JudgeReplica(const std::string& unit, std::vector<Decision>& decisions);
  void JudgeReplicas(const std::string& template_name, std::vector<Decision>& decisions);
  const Stored<RolloutRecord>* RunningRollout(const std::string& name) const;

  // engine_rollout.cc: rolling updates and restarts
  // Who brings something to a unit: its own rollout, or its template's.
  struct RolloutStep {
    std::string unit;
    std::string name;  // of the rollout
  };
  struct RolloutUnits;
  // Whether what it is about to bring has a place.
  struct RolloutTrial {
    std::string no_place;      // why a unit would be stopped and be nowhere
    bool has_to_wait = false;  // that is known only once others have got where they go
    // What is pretended.
    std::vector<std::string> texts;  // of these units
    struct Move {
      scheduler::UnitId id;
      Occupancy::Places before;
      std::string to;
    };
    std::vector<Move> moves;
  };
  void MarkRolloutOf(const std::string& unit);
  void MarkRolloutsOfInstances(const std::string& template_name);
  void JudgeRollout(const std::string& key, std::vector<Decision>& decisions);
  std::vector<RolloutStep> PickSteps(const RolloutUnits& units, size_t at_once,
                                     RolloutTrial& trial);
  void FindRolloutUnits(const std::string& name, absl::Duration healthy_after, RolloutUnits& units);
  bool HasItsText(const std::string& unit, const UnitRecord& record) const;
  absl::Time HealthyAt(const std::string& unit, const UnitStatus& status,
                       absl::Duration healthy_after);
  void BringRollout(const RolloutStep& step, const Requirements& requirements,
                    std::vector<Decision>& decisions);
  void StopRollout(const std::vector<std::string>& names, const std::string& reason,
                   std::vector<Decision>& decisions);
  void RollBack(const std::vector<std::string>& names, const std::string& why,
                std::vector<Decision>& decisions);
  void EndRollout(const std::vector<std::string>& names, const RolloutUnits& units,
                  std::vector<Decision>& decisions);
  void AddRolloutRecord(Decision& decision, const std::string& name,
                        std::optional<RolloutRecord> record, EventEntry event) const;

  // engine_rollout_trial.cc
  void TryStep(const RolloutStep& step, bool others_move, RolloutTrial& trial);
  bool HasAPlace(const std::string& unit);
  bool HasAPlaceOnceOthersHaveGone(const Member& member, const Group& group, const Placed& live,
                                   const RolloutTrial& trial);
  std::string WhyNowhere(const Group& group);
  void EndTrial(const RolloutTrial& trial);

  // engine_drain.cc: machines that are emptied, and what voluntary moves are held to
  struct HandOver {
    std::string from;  // a machine; empty: the unit stays
    std::string to;

    bool operator==(const HandOver&) const = default;
  };
  void SyncUnderWay(const std::string& unit);
  bool HasYetToStart(const std::string& unit) const;
  void NoteUnderWay(const std::string& unit, const HandOver& hand_over);
  void NoteDown(const std::string& unit, bool is_down);
  void NoteHandOvers(const Decision& decision);
  std::string WhatHoldsMove(const Group& group, const std::string& from);
  size_t InstancesOf(const std::string& template_name);
  bool IsEmptied(const std::string& machine) const;
  std::string WhyEmptied(const std::string& machine) const;
  bool JudgeDrained(const Member& member, const Placed& live, std::vector<Decision>& decisions);
  std::optional<std::string> ChooseForDrain(const Group& group, const std::string& from);
  std::vector<Member> NearThem(const Group& group);
  bool EndsOnDrain(const std::string& global, const std::string& machine);
  void ExplainDrained(const Member& member, const Placed& live, UnitExplanation& explained);

  // engine_reboot_slots.cc: FleetLock
  struct Asker {
    int64_t revision = 0;  // of its settings, which each request changes
    absl::Time seen = absl::InfinitePast();
  };
  void SyncAsker(const std::string& machine);
  void GrantSlots(std::vector<Decision>& decisions);
  bool HasStoppedAsking(const Stored<MachineSettings>& stored, Asker& asker);
  void WithdrawRequest(const std::string& machine, const Stored<MachineSettings>& stored,
                       std::vector<Decision>& decisions);
  void EndGrant(const std::string& settings_key);
  void Close(const std::string& machine, bool closed);

  // engine_deadline.cc: drains that have a deadline
  void SyncDeadline(const std::string& machine);
  bool IsOverdue(const std::string& machine) const;
  bool WasLeftBehind(const std::string& machine) const;
  bool IsStrayOn(const std::string& unit, const std::string& machine) const;
  bool IsForced(const std::string& machine) const;
  std::vector<std::string> UnitsHeldOn(const std::string& machine) const;
  void ExpireDrains(std::vector<Decision>& decisions);
  std::string WhatIsHeld(const std::string& machine, const std::vector<std::string>& held);

  // engine_explain.cc
  void ExplainPlaced(const Member& member, const Placed& live, UnitExplanation& explained);
  void ExplainUnplaced(const Member& member, UnitExplanation& explained);
  void ExplainNowhere(const Group& group, const std::string& gone, UnitExplanation& explained);
  std::string WhyHere(const Group& group, const std::string& machine,
                      const std::vector<scheduler::Verdict>& verdicts);

  // engine_decision.cc: what decisions are made of
  Decision Begin() { return Decision{.id = ++last_decision_}; }
  void Emit(Decision decision, std::vector<Decision>& decisions);
  static void AddUnit(Decision& decision, const std::string& unit);
  static void AddGuard(Decision& decision, Guard guard);
  void GuardUnit(Decision& decision, const std::string& unit) const;
  void GuardMachine(Decision& decision, const std::string& machine) const;
  void GuardMachineRecord(Decision& decision, const std::string& machine) const;
  void GuardTarget(Decision& decision, const std::string& machine) const;
  void GuardAssignment(Decision& decision, const std::string& unit,
                       const std::string& machine) const;
  void GuardContent(Decision& decision, const std::string& hash) const;
  void GuardReport(Decision& decision, const std::string& unit, const std::string& machine) const;
  void GuardRollout(Decision& decision, const std::string& name) const;
  void GuardFollowed(Decision& decision, const Requirements& requirements,
                     const std::string& machine) const;
  void PutNewAssignment(Decision& decision, const Member& member, const std::string& machine) const;
  void PutTombstone(Decision& decision, const std::string& unit, const Placed& live,
                    const std::string& next) const;
  int64_t NextGeneration(const Assignment& before) const;
  std::vector<Placed> AssignmentsOf(const std::string& unit) const;
  std::string MetadataOf(const std::string& machine, const std::string& key) const;

  const EngineSettings settings_;
  ClusterViewPtr view_;
  Occupancy occupancy_;
  absl::flat_hash_set<std::string> dirty_;
  std::set<std::pair<int64_t, std::string>> queue_;  // of dirty units, during Decide(); by priority
  bool deciding_ = false;
  absl::flat_hash_set<std::string> covered_;  // judged together with the one that is judged now
  std::set<std::string> held_back_;  // until some other unit's move or placement is through
  std::set<std::string> waiting_;    // refused ones, those that a drain finds no machine for, and
                                     // globals that are not on all machines: judged again whenever
                                     // room may have come up
  std::map<std::string, int64_t> waiting_for_room_;        // those of them that may push others out
  std::set<std::pair<int64_t, std::string>> by_priority_;  // the same, the highest priority first
  absl::flat_hash_map<std::string, InFlight> in_flight_;
  // Those of them whose fates are all known, by the revision that the view has to reach.
  std::set<std::pair<int64_t, std::string>> landing_;
  absl::flat_hash_map<uint64_t, std::vector<std::string>> units_of_decision_;
  uint64_t last_decision_ = 0;
  Absences absences_;
  MassLoss mass_loss_;
  bool presence_changed_ = false;                    // of a machine, since the last Decide()
  std::map<std::string, std::string> pretended_;     // hashes of texts, by unit, during a trial
  absl::Time features_from_ = absl::InfinitePast();  // none is enabled before
  bool features_changed_ = true;  // of a machine or the cluster, since they were judged
  // Why a feature may not be used, by its name: as far as has been asked.
  absl::flat_hash_map<std::string, std::string> why_not_yet_;
  // The registry was restored or replaced: nothing is decided until machines have had the time to
  // say what they run, one TTL.
  bool other_history_ = false;
  absl::Time silent_until_ = absl::InfinitePast();
  std::set<std::string> unsteady_;   // machines that come and go
  std::set<std::string> forgotten_;  // machines that are gone by the operator's word

  // How the runs of units ended up that may be moved for failing, or have been, and since when.
  struct Outcome {
    int64_t generation = 0;
    bool has_failed = false;  // otherwise it is active
    absl::Time since;
  };
  absl::flat_hash_map<std::string, Outcome> outcomes_;
  // Of units that a running rollout has reached: which run has started, and since when. A new
  // leader begins anew.
  absl::flat_hash_map<std::string, std::pair<int64_t, absl::Time>> started_;
  std::set<std::string> rolled_in_pass_;  // first names of rollouts that this pass has judged
  size_t rollout_walks_ = 0;
  absl::Time now_ = absl::InfinitePast();
  absl::Time wall_now_ = absl::InfinitePast();
  absl::Time next_wakeup_ = absl::InfiniteFuture();
  std::set<std::string> at_wakeup_;  // to be judged then

  // Voluntary moves, and what they wait for.
  std::set<std::string> movers_;                    // units with a move_to
  std::set<std::string> queued_movers_;             // those that wait for others, also of a drain
  std::map<std::string, HandOver> under_way_;       // units that have been told to leave a machine
                                                    // for another one
  std::map<std::string, size_t> sources_;           // how many of them on each machine
  std::map<std::string, size_t> targets_;           // and to each machine
  absl::flat_hash_set<std::string> down_;           // instances that move, start or have failed
  std::map<std::string, size_t> down_of_template_;  // how many of them each template has
  absl::flat_hash_map<std::string, size_t> instances_of_;  // as counted in this view
  std::set<std::string> timed_drains_;                     // machines with a deadline that counts
  std::set<std::string> stuck_;          // units that a drain finds no machine for
  std::map<std::string, Asker> askers_;  // machines that want a slot to reboot or have one
  std::set<std::string> open_machines_;  // present, and they take newcomers
  bool machines_changed_ = false;        // since the last Decide()
  bool machine_came_ = false;
  bool rebalance_is_due_ = false;  // once machines have been quiet for long enough
  absl::Time quiet_since_ = absl::InfinitePast();
};

}  // namespace fleet::reconcile
