// What is checked while things happen. See checker.h; checker_rest.cc has what is checked once all
// has come to rest.

#include "sim/checker.h"

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "registry/codec.h"

namespace fleet::sim {

namespace {

constexpr size_t kOrdersKept = 30;
// Revisions within which an engine may not have seen that machines came, went or changed zones.
constexpr int64_t kRecent = 200;

bool IsLive(const Assignment& assignment) { return assignment.state != AssignmentState::kGone; }

bool StartsWith(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

Checker::Checker(const registry::Keys& keys,
                 std::function<std::map<std::string, MachineTruth>()> machines,
                 std::function<void(const std::string&)> trace)
    : keys_(keys), machines_(std::move(machines)), trace_(std::move(trace)), builder_(keys) {
  view_ = builder_.Snapshot(1);
}

void Checker::Violate(const char* invariant, std::string what) {
  trace_(fmt::format("VIOLATION {} {}", invariant, what));
  violations_.push_back({invariant, std::move(what)});
}

void Checker::OnRestore(const std::map<std::string, store::KeyValue>& contents, int64_t revision) {
  restored_ = true;
  // What a machine has been told, or has installed, may start before its agent has read the
  // restored registry.
  for (const auto& [place, assignment] : view_->assignments) {
    if (IsLive(assignment.value)) excused_.insert({place.machine, place.unit});
  }
  builder_.Clear();
  for (const auto& [key, kv] : contents) builder_.Put(kv);
  view_ = builder_.Snapshot(revision);
  generations_.clear();
  ended_.clear();
  rolling_.clear();
  voluntary_.clear();
  for (const auto& [name, machine] : machines_()) {
    for (const auto& [unit, file] : machine.os->files) excused_.insert({machine.id, unit});
  }
  for (const auto& [place, assignment] : view_->assignments) {
    excused_.insert({place.machine, place.unit});
    NoteOrder(place.machine, place.unit, assignment.value);
  }
}

void Checker::OnRevision(const Revision& revision) {
  const ClusterViewPtr before = view_;
  std::vector<Change> changes;
  bool only_contents = true;
  for (const Revision::Item& item : revision.items) {
    store::KeyValue gone;
    gone.key = item.key;
    const auto change = item.after != nullptr ? builder_.Put(*item.after) : builder_.Delete(gone);
    if (!StartsWith(item.key, keys_.Content(""))) only_contents = false;
    if (change) changes.push_back(*change);
  }
  view_ = builder_.Snapshot(revision.revision);
  // The sweep may find that why a unit waits has become another: where others are is a part of it.
  const bool only_says_why = quiet_ && !changes.empty() &&
                             std::all_of(changes.begin(), changes.end(), [&](const Change& change) {
                               const auto* was = before->units.Find(change.name);
                               const auto* is = view_->units.Find(change.name);
                               return change.record == Change::Record::kUnit && was != nullptr &&
                                      is != nullptr && was->value.refusal != is->value.refusal &&
                                      retold_.insert(change.name).second;
                             });
  if (quiet_ && !only_contents && !only_says_why) {
    Violate("L2",
            fmt::format("{} was written although nothing had changed", revision.items.front().key));
  }
  const bool is_engine =
      revision.client != nullptr && revision.client->role == Client::Role::kEngine;
  std::vector<Place> over;  // tombstones that are no more, or stand for a new assignment
  for (const Change& change : changes) {
    if (change.record == Change::Record::kMachine) {
      zones_revision_ = revision.revision;
      if (view_->machines.Find(change.name) == nullptr) {
        NoteMachineGone(*before, change.name);
      } else if (before->machines.Find(change.name) == nullptr) {
        NoteMachineBack(change.name);
      }
    }
    if (change.record == Change::Record::kLeader) {
      trace_(view_->leader ? fmt::format("{} leads, epoch {}", view_->leader->value.machine,
                                         view_->leader->value.epoch)
                           : "nobody leads");
    }
    if (change.record == Change::Record::kState) {
      const auto* state = view_->states.Find(UnitOnMachine{change.name, change.machine});
      trace_(fmt::format("{} reports {} {}", change.machine, change.name,
                         state == nullptr    ? "no more"
                         : state->value.gone ? "gone"
                                             : state->value.active_state));
      // It stays true also when a reboot takes the report away.
      const auto* tombstone = view_->assignments.Find(UnitOnMachine{change.name, change.machine});
      if (state != nullptr && tombstone != nullptr && state->value.gone &&
          !IsLive(tombstone->value) && state->value.uid == tombstone->value.uid &&
          state->value.generation == tombstone->value.generation) {
        ended_.insert({change.machine, change.name});
      }
    }
    if (change.record == Change::Record::kSettings) {
      zones_revision_ = revision.revision;
      CheckSlots(change.name);
    }
    if (change.record == Change::Record::kCluster && change.name == "features") {
      CheckFeatures(*before);
    }
    if (change.record != Change::Record::kAssignment) continue;
    if (!is_engine) {
      Violate("S5", "an assignment was written by somebody else than an engine: " + change.name);
    }
    const auto* put = view_->assignments.Find(UnitOnMachine{change.name, change.machine});
    if (put == nullptr || IsLive(put->value)) over.emplace_back(change.machine, change.name);
    if (put == nullptr) continue;
    CheckAssignmentPut(*before, change.name, change.machine, put->value);
    NoteOrder(change.machine, change.name, put->value);
  }
  for (const Place& place : over) ended_.erase(place);
  CheckRolling(*before, changes);
  if (is_engine) CheckEvents(revision, *before);
}

// S5, S8: who writes, and that it says why.
void Checker::CheckEvents(const Revision& revision, const ClusterView& before) {
  std::set<std::string> told;
  bool decides = false;
  for (const Revision::Item& item : revision.items) {
    if (item.key == keys_.Leader() || StartsWith(item.key, keys_.Content(""))) continue;
    if (item.key == keys_.Cluster("id") && before.cluster_id) {
      if (!restored_) Violate("S5", "the cluster was named anew, and its registry is the same");
      continue;
    }
    decides = true;
    if (item.after == nullptr || !StartsWith(item.key, keys_.prefix() + "events/")) continue;
    const auto record = registry::DecodeEvent(item.after->value);
    if (!record.ok()) continue;
    for (const EventEntry& entry : record->entries) {
      if (!entry.reason.empty()) told.insert(entry.unit);
      CheckVoluntary(entry);
    }
  }
  if (!decides) return;
  if (!before.leader || before.leader->value.machine != revision.client->machine) {
    Violate("S5", fmt::format("the engine of {} wrote {}, and does not lead",
                              revision.client->machine, revision.items.front().key));
  }
  for (const Revision::Item& item : revision.items) {
    const auto change = keys_.Parse(item.key);
    if (!change || told.contains(change->name)) continue;
    if (change->record == Change::Record::kUnit &&
        (item.after == nullptr || before.units.Find(change->name) == nullptr)) {
      Violate("S8", "nothing says why the unit was made or destroyed: " + change->name);
    }
    if (change->record == Change::Record::kRollout) {
      Violate("S8", "nothing says why the rollout has changed: " + change->name);
    }
    if (item.after == nullptr) continue;
    if (change->record == Change::Record::kAssignment) {
      Violate("S8", fmt::format("nothing says why the assignment of {} to {} was written",
                                change->name, change->machine));
    }
    if (change->record == Change::Record::kUnit) {
      const auto* was = before.units.Find(change->name);
      const auto* is = view_->units.Find(change->name);
      if (was != nullptr && is != nullptr && was->value.refusal != is->value.refusal) {
        Violate("S8", "nothing says why the refusal has changed: " + change->name);
      }
    }
  }
}

// S6: no more machines are emptied at once by voluntary moves than the budget allows, which is one.
void Checker::CheckVoluntary(const EventEntry& entry) {
  const std::string_view why = entry.reason;
  if (entry.kind != "moving" ||
      (why != "rebalance" && !why.ends_with("is drained") && !why.ends_with("(FleetLock)"))) {
    voluntary_.erase(entry.unit);
    return;
  }
  const auto* settings = view_->settings.Find(entry.machine);
  if (why.ends_with("is drained") && settings != nullptr && settings->value.drain_expired) {
    Violate("S6",
            fmt::format("{} was moved off {}, whose drain has expired", entry.unit, entry.machine));
  }
  voluntary_[entry.unit] = entry.machine;
  std::set<std::string> sources;
  std::erase_if(voluntary_, [&](const auto& move) {
    // It was lost before the move was committed: that is why its unit moves.
    if (view_->machines.Find(move.second) == nullptr) return true;
    const auto* stored = view_->assignments.Find(UnitOnMachine{move.first, move.second});
    if (stored == nullptr || IsLive(stored->value) || stored->value.next_machine.empty()) {
      return true;
    }
    sources.insert(move.second);
    return false;
  });
  if (sources.size() > 1) {
    Violate("S6", fmt::format("{} was moved off {} while {} machines are emptied already",
                              entry.unit, entry.machine, sources.size() - 1));
  }
}

// S6: of each group of FleetLock one machine may reboot.
void Checker::CheckSlots(const std::string& machine) {
  const auto* settings = view_->settings.Find(machine);
  if (settings == nullptr || !settings->value.lock_granted) return;
  for (const auto& [other, its] : view_->settings) {
    if (other == machine || !its.value.lock_granted ||
        its.value.lock_group != settings->value.lock_group) {
      continue;
    }
    Violate("S6", fmt::format("{} and {} both have the slot of the group {}", machine, other,
                              its.value.lock_group));
  }
}

// S5: a feature is enabled when all machines know it, and then stays so.
void Checker::CheckFeatures(const ClusterView& before) {
  if (before.features) {
    for (const std::string& feature : before.features->value.enabled) {
      if (!IsEnabled(*view_, feature)) Violate("S5", feature + " is not enabled any more");
    }
  }
  if (!view_->features) return;
  trace_(fmt::format("enabled: {}", fmt::join(view_->features->value.enabled, ", ")));
  for (const std::string& feature : view_->features->value.enabled) {
    if (IsEnabled(before, feature)) continue;
    for (const std::string& machine : MachinesWithout(before, feature)) {
      // The engine need not have seen one that has just come.
      const auto* record = before.machines.Find(machine);
      if (record == nullptr || view_->revision - record->mod_revision < kRecent) continue;
      Violate("S5", fmt::format("{} is enabled, and {} does not know it", feature, machine));
    }
  }
}

bool Checker::IsClosed(const ClusterView& view, const std::string& machine) {
  const auto* settings = view.settings.Find(machine);
  return settings != nullptr && settings->value.IsClosed();
}

void Checker::CheckAssignmentPut(const ClusterView& before, const std::string& unit,
                                 const std::string& machine, const Assignment& put) {
  trace_(fmt::format("assignment {} on {} {} generation {}", unit, machine, ToString(put.state),
                     put.generation));
  // In a restored registry a generation above its revision is one of the history before.
  // Of a global unit each machine has its own: one may be adopted as it runs while others are new.
  // So it is where copies of an earlier history, with its generations, are put an end to.
  const bool by_machine = restored_ || IsGlobal(unit);
  int64_t& highest = generations_[by_machine ? put.uid + " " + machine : put.uid];
  if (restored_ && highest > view_->revision) highest = 0;
  const auto* was = before.assignments.Find(UnitOnMachine{unit, machine});
  int64_t former = highest;
  if (was != nullptr && was->value.uid == put.uid) {
    former = std::max(former, was->value.generation);
  }
  if (put.generation < former) {
    Violate("S7",
            fmt::format("{} on {}: generation {} after {}", unit, machine, put.generation, former));
  }
  // One above its revision goes on from a report of the history before: once the machine has
  // forgotten it, nobody knows of it.
  if (put.generation <= view_->revision) highest = std::max(highest, put.generation);
  if (!IsLive(put)) return;
  if (was == nullptr || !IsLive(was->value) || was->value.uid != put.uid) {
    CheckNewPlace(before, unit, machine, put);
  }
  if (IsGlobal(unit)) return;
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    if (it->first.machine != machine && IsLive(it->second.value)) {
      Violate("S1", fmt::format("{} is assigned to {} and {}", unit, machine, it->first.machine));
    }
  }
}

void Checker::CheckNewPlace(const ClusterView& before, const std::string& unit,
                            const std::string& machine, const Assignment& put) {
  ++placements_;
  excused_.erase({machine, unit});
  const auto* report = before.states.Find(UnitOnMachine{unit, machine});
  const bool is_adopted = report != nullptr && report->value.uid == put.uid && !report->value.gone;
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.uid != put.uid ||
      record->value.desired == DesiredState::kInactive) {
    Violate("S5", unit + " was placed and is not wanted");
    return;
  }
  if (!is_adopted && record->value.content_hash != put.content_hash) {
    Violate("S5", unit + " was placed with a text that it no longer has");
  }
  if (!is_adopted && view_->contents.Find(put.content_hash) == nullptr) {
    Violate("S5", unit + " was placed and its text is not there");
  }
  const auto* target = before.machines.Find(machine);
  if (target == nullptr) {
    Violate("S5", fmt::format("{} was placed on {}, which is not there", unit, machine));
  } else if (target->value.leaving && !is_adopted) {
    Violate("S6", fmt::format("{} was placed on {}, which is leaving", unit, machine));
  } else if (IsClosed(before, machine) && !is_adopted) {
    Violate("S6", fmt::format("{} was placed on {}, which is cordoned or drained", unit, machine));
  }
  if (IsGlobal(unit)) return;
  for (auto it = FirstOf(before.assignments, unit); InUnit(it, before.assignments, unit); ++it) {
    const std::string& old = it->first.machine;
    if (old == machine || ended_.contains({old, unit})) continue;
    // An orphan of the history before a restore.
    if (restored_ && excused_.contains({old, unit})) continue;
    if (before.machines.Find(old) == nullptr) {
      ended_.insert({old, unit});
      continue;
    }
    const auto* state = before.states.Find(it->first);
    const Assignment& ends = it->second.value;
    if (state == nullptr || !state->value.gone || state->value.uid != ends.uid ||
        (!IsLive(ends) && state->value.generation != ends.generation)) {
      Violate("S1", fmt::format("{} was placed on {} before its end on {} was reported", unit,
                                machine, old));
    }
  }
  if (target == nullptr || is_adopted || view_->contents.Find(put.content_hash) == nullptr) return;
  const scheduler::Naive oracle = Oracle(unit, /*reports=*/false);
  const std::string why = oracle.RulesOut(unit, machine, scheduler::As::kNewcomer);
  if (!why.empty()) {
    // The zones of other machines are facts that a placement does not compare.
    const bool is_of_zones =
        StartsWith(why, "ConflictsWithin") || StartsWith(why, "CollocateWithin");
    if (is_of_zones && view_->revision - zones_revision_ < kRecent) return;
    Violate("S2", fmt::format("{} was placed on {}, which {} rules out", unit, machine, why));
  }
}

std::shared_ptr<const Requirements> Checker::RequirementsOf(const std::string& unit,
                                                            const std::string& hash) const {
  auto& cached = requirements_[{unit, hash}];
  if (cached != nullptr) return cached;
  const auto* content = view_->contents.Find(hash);
  const auto name = UnitName::Parse(unit);
  if (content == nullptr || !name.ok()) return nullptr;
  auto parsed = ParseRequirements(*content->value.file, *name);
  if (!parsed.ok()) return nullptr;
  RequireFeatures(*parsed);
  cached = std::make_shared<const Requirements>(*std::move(parsed));
  return cached;
}

bool Checker::IsGlobal(const std::string& unit) const {
  const auto* record = view_->units.Find(unit);
  if (record == nullptr) return false;
  const auto needs = RequirementsOf(unit, record->value.content_hash);
  return needs != nullptr && needs->global;
}

// All that is assigned, as the definitions see it, without the places of one unit.
scheduler::Naive Checker::Oracle(const std::string& without, bool reports) const {
  scheduler::Naive oracle;
  for (const auto& [id, machine] : view_->machines) {
    const auto* settings = view_->settings.Find(id);
    auto metadata =
        EffectiveMetadata(machine.value, settings == nullptr ? nullptr : &settings->value);
    oracle.SetMachine({.id = id,
                       .metadata = WithFeatures(std::move(metadata), machine.value.features),
                       .schedulable = !machine.value.leaving && !IsClosed(*view_, id),
                       .capacity = {machine.value.milli_cores, machine.value.memory_bytes}});
  }
  for (const auto& [name, record] : view_->units) {
    auto needs = RequirementsOf(name, record.value.content_hash);
    if (needs != nullptr) oracle.SetUnit(name, needs);
  }
  std::map<Place, scheduler::Hold> holds;
  for (const auto& [place, assignment] : view_->assignments) {
    if (place.unit == without) continue;
    if (view_->units.Find(place.unit) == nullptr) {
      auto needs = RequirementsOf(place.unit, assignment.value.content_hash);
      if (needs == nullptr) continue;
      oracle.SetUnit(place.unit, needs);
    }
    if (IsLive(assignment.value)) {
      holds[{place.machine, place.unit}] = scheduler::Hold::kRuns;
      continue;
    }
    // What is not wanted any more goes nowhere.
    const auto* record = view_->units.Find(place.unit);
    const bool moves = record != nullptr && record->value.uid == assignment.value.uid &&
                       record->value.desired != DesiredState::kInactive;
    if (moves && !assignment.value.next_machine.empty()) {
      holds[{assignment.value.next_machine, place.unit}] = scheduler::Hold::kRuns;
    }
    const auto* state = view_->states.Find(place);
    const bool gone = state != nullptr && state->value.gone &&
                      state->value.uid == assignment.value.uid &&
                      state->value.generation == assignment.value.generation;
    if (!gone) holds.try_emplace({place.machine, place.unit}, scheduler::Hold::kLeaves);
  }
  for (const auto& [place, state] : view_->states) {
    if (!reports || place.unit == without || state.value.gone) continue;
    if (view_->units.Find(place.unit) == nullptr && view_->assignments.Find(place) == nullptr) {
      auto needs = RequirementsOf(place.unit, state.value.content_hash);
      if (needs == nullptr) continue;
      oracle.SetUnit(place.unit, needs);
    }
    holds.try_emplace({place.machine, place.unit}, scheduler::Hold::kLeaves);
  }
  for (const auto& [place, hold] : holds) {
    if (RequirementsOf(place.second, [&] {
          const auto* record = view_->units.Find(place.second);
          if (record != nullptr) return record->value.content_hash;
          const auto* assignment =
              view_->assignments.Find(UnitOnMachine{place.second, place.first});
          if (assignment != nullptr) return assignment->value.content_hash;
          const auto* state = view_->states.Find(UnitOnMachine{place.second, place.first});
          return state == nullptr ? std::string() : state->value.content_hash;
        }()) != nullptr) {
      oracle.Place(place.second, place.first, hold);
    }
  }
  return oracle;
}

void Checker::NoteMachineGone(const ClusterView& before, const std::string& machine) {
  trace_("machine " + machine + " is gone");
  for (const auto& [place, state] : view_->states) {
    if (place.machine == machine) {
      Violate("C3", fmt::format("a state of {} outlives {}", place.unit, machine));
      break;
    }
  }
  for (const auto& [place, assignment] : before.assignments) {
    if (place.machine == machine) excused_.insert({machine, place.unit});
  }
  const auto truth = machines_();
  for (const auto& [place, run] : running_) {
    if (truth.at(place.first).id == machine) excused_.insert({machine, place.second});
  }
  // What moved off it moves because it is gone.
  std::erase_if(voluntary_, [&](const auto& move) { return move.second == machine; });
}

void Checker::NoteMachineBack(const std::string& machine) {
  trace_("machine " + machine + " has joined");
  for (const auto& [place, assignment] : view_->assignments) {
    if (place.machine == machine && IsLive(assignment.value)) excused_.erase({machine, place.unit});
  }
}

void Checker::NoteOrder(const std::string& machine, const std::string& unit,
                        const Assignment& order) {
  std::deque<Order>& orders = orders_[{machine, unit}];
  orders.push_back({++last_order_, order});
  if (orders.size() > kOrdersKept) orders.pop_front();
}

void Checker::OnRunBegan(const std::string& machine, const std::string& unit,
                         const host::UnitNote& note) {
  ++run_count_;
  trace_(fmt::format("{} runs on {}", unit, machine));
  const auto truth = machines_();
  const MachineTruth& here = truth.at(machine);
  Run& run = running_[{machine, unit}];
  run.note = note;
  // A restored registry gives an order once more; what was told after it the first time may have
  // been heard before the restored one.
  for (const Order& order : orders_[{here.id, unit}]) {
    if (run.order == 0 && order.assignment.generation == note.generation &&
        IsLive(order.assignment)) {
      run.order = order.number;
    }
  }
  const auto needs = RequirementsOf(unit, note.content_hash);
  if ((needs != nullptr && needs->global) || HasTwin(truth, here.id)) return;
  // Of a unit that is stopped where it is cut off there never is a second copy.
  const bool may_be_excused = !(needs != nullptr && needs->stops_on_isolation && !restored_);
  if (may_be_excused && excused_.contains({here.id, unit})) return;
  const auto by_hand = [&](const std::string& name) {
    const auto it = truth.at(name).os->units.find(unit);
    return it != truth.at(name).os->units.end() && it->second.by_hand;
  };
  if (by_hand(machine)) return;
  for (const auto& [place, other] : running_) {
    if (place.second != unit || place.first == machine || by_hand(place.first)) continue;
    if (HasTwin(truth, truth.at(place.first).id)) continue;
    if (may_be_excused && excused_.contains({truth.at(place.first).id, unit})) continue;
    Violate("S1", fmt::format("{} runs on {} and on {}", unit, place.first, machine));
  }
}

bool Checker::HasTwin(const std::map<std::string, MachineTruth>& truth, const std::string& id) {
  return std::any_of(truth.begin(), truth.end(), [&](const auto& entry) {
    return entry.second.is_duplicate && entry.second.id == id;
  });
}

void Checker::OnRunEnded(const std::string& machine, const std::string& unit) {
  trace_(fmt::format("{} has stopped on {}", unit, machine));
  running_.erase({machine, unit});
}

// S3: there was an order to stop it, given after the one that it runs by.
void Checker::OnStopAsked(const std::string& machine, const std::string& unit) {
  const auto truth = machines_();
  const MachineTruth& here = truth.at(machine);
  if (here.leaves) return;
  const auto it = running_.find({machine, unit});
  if (it == running_.end()) return;
  const Run& run = it->second;
  // A restored registry counts restarts from an earlier number on.
  int64_t restarts = run.note.restarts;
  for (const Order& order : orders_[{here.id, unit}]) {
    const Assignment& wants = order.assignment;
    if (order.number < run.order) continue;
    const bool is_restart = wants.restarts > restarts;
    if (restored_) restarts = wants.restarts;
    if (wants.state != AssignmentState::kLaunched || wants.uid != run.note.uid ||
        wants.content_hash != run.note.content_hash || is_restart) {
      return;
    }
  }
  Violate("S3", fmt::format("{} was stopped on {}, and nobody had asked for that", unit, machine));
}

}  // namespace fleet::sim
