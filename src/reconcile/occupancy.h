#pragma once

// Keeps the scheduler's picture of who occupies which machine in step with the cluster view, and
// the requirements of each unit at hand.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "model/cluster_view.h"
#include "reconcile/decision.h"
#include "scheduler/scheduler.h"

namespace fleet::reconcile {

class Occupancy {
 public:
  const scheduler::Scheduler& scheduler() const { return scheduler_; }

  // The requirements of the unit's stored text; an error that says why they cannot be read
  // (NOT_FOUND while the content is not there). Cached by (unit, content).
  absl::StatusOr<scheduler::RequirementsPtr> RequirementsOf(const ClusterView& view,
                                                            const std::string& unit,
                                                            const std::string& content_hash);

  // Makes the scheduler's machine what the view says.
  void SyncMachine(const ClusterView& view, const std::string& machine);

  // Makes the unit's places what the view says. True if it has left a machine, or is leaving one:
  // others may fit there now.
  bool SyncUnit(const ClusterView& view, const std::string& unit);

  // The same, as if the decision had been committed already.
  bool Anticipate(const ClusterView& view, const Decision& decision);

  // What would rule the unit out on this machine, as Scheduler::RulesOut() says it, if `leaving`
  // did not occupy it any more.
  std::string RulesOutWithout(const std::string& leaving, const std::string& unit,
                              const Requirements& requirements, const std::string& machine);

  // Units that occupy this machine, present or not.
  const std::set<std::string>& UnitsOn(const std::string& machine) const;

  // Units whose MachineOf names this one.
  const std::set<std::string>& FollowersOf(const std::string& unit) const;
  // Units with Replaces.
  const std::set<std::string>& replacers() const { return replacers_; }
  bool IsGlobal(const std::string& unit) const { return globals_.contains(unit); }
  const std::set<std::string>& globals() const { return globals_; }

 private:
  struct Known {
    std::string content_hash;
    absl::StatusOr<scheduler::RequirementsPtr> requirements;
  };
  using Places = std::map<std::string, scheduler::Hold>;  // by machine

  scheduler::RequirementsPtr RequirementsOrNone(const ClusterView& view, const std::string& unit,
                                                const std::string& content_hash);
  void NoteRelations(const std::string& unit, const Requirements* requirements);
  bool AnticipateUnit(const ClusterView& view, const std::string& unit,
                      const std::vector<Write>& writes);
  bool SetPlaces(const std::string& unit, const scheduler::RequirementsPtr& requirements,
                 Places places);

  scheduler::Scheduler scheduler_;
  absl::flat_hash_map<std::string, Known> known_;
  absl::flat_hash_map<std::string, Places> places_;
  absl::flat_hash_map<std::string, scheduler::RequirementsPtr> placed_with_;
  absl::flat_hash_map<std::string, std::set<std::string>> units_on_;
  absl::flat_hash_map<std::string, std::set<std::string>> followers_;
  std::set<std::string> globals_;
  std::set<std::string> replacers_;
};

// True if the machine has reported that exactly this assignment has ended on it.
bool ReportedGone(const ClusterView& view, const std::string& unit, const std::string& machine,
                  const Assignment& assignment);

}  // namespace fleet::reconcile
