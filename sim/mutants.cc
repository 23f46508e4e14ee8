#include "sim/mutants.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "model/features.h"
#include "registry/codec.h"
#include "registry/keys.h"

namespace fleet::sim {

namespace {

using Role = Client::Role;
using Record = Change::Record;

const registry::Keys kKeys("/fleet/");

bool Is(const std::string& key, Record record) {
  const auto change = kKeys.Parse(key);
  return change && change->record == record;
}

// Without the compares for which `drop` holds, in what an engine writes.
class DropsCompares final : public Tamper {
 public:
  using Filter = std::function<bool(const store::Compare&)>;
  explicit DropsCompares(Filter drop) : drop_(std::move(drop)) {}
  void OnCommit(const Client& client, store::Txn& txn) override {
    if (client.role != Role::kEngine) return;
    for (const store::Op& op : txn.ops) {
      const auto* put = std::get_if<store::Put>(&op);
      if (put != nullptr && put->key == kKeys.Leader()) return;  // it may stand for election
    }
    std::erase_if(txn.compares, drop_);
  }

 private:
  const Filter drop_;
};

// Changes the values that clients of one role write.
class ChangesWrites final : public Tamper {
 public:
  using Change = std::function<void(store::Put&)>;
  ChangesWrites(Role role, Change change) : role_(role), change_(std::move(change)) {}
  void OnCommit(const Client& client, store::Txn& txn) override {
    if (client.role != role_) return;
    for (store::Op& op : txn.ops) {
      if (auto* put = std::get_if<store::Put>(&op)) change_(*put);
    }
  }

 private:
  const Role role_;
  const Change change_;
};

// Changes the records that clients of one role see.
class ChangesReads final : public Tamper {
 public:
  using Change = std::function<void(store::KeyValue&)>;
  ChangesReads(Role role, Change change) : role_(role), change_(std::move(change)) {}
  void OnRange(const Client& client, const store::RangeRequest&,
               store::RangeResult& result) override {
    if (client.role != role_) return;
    for (store::KeyValue& kv : result.kvs) change_(kv);
  }
  void OnBatch(const Client& client, store::WatchBatch& batch) override {
    if (client.role != role_) return;
    for (store::Event& event : batch.events) {
      if (event.type == store::Event::Type::kPut) change_(event.kv);
    }
  }

 private:
  const Role role_;
  const Change change_;
};

store::KeyValue GoneState(const std::string& machine, const std::string& unit,
                          const Assignment& assignment, int64_t revision) {
  store::KeyValue kv;
  kv.key = kKeys.State(machine, unit);
  kv.value = registry::Encode(StateReport{.uid = assignment.uid,
                                          .generation = assignment.generation,
                                          .content_hash = assignment.content_hash,
                                          .active_state = "inactive",
                                          .gone = true,
                                          .settled = true});
  kv.create_revision = kv.mod_revision = revision;
  return kv;
}

// The engine takes a tombstone for the end of the unit.
class DoesNotWait final : public Tamper {
 public:
  void OnBatch(const Client& client, store::WatchBatch& batch) override {
    if (client.role != Role::kEngine) return;
    std::vector<store::Event> forged;
    for (const store::Event& event : batch.events) {
      if (event.type != store::Event::Type::kPut) continue;
      const auto change = kKeys.Parse(event.kv.key);
      if (!change || change->record != Record::kAssignment) continue;
      const auto put = registry::DecodeAssignment(event.kv.value);
      if (!put.ok() || put->state != AssignmentState::kGone) continue;
      forged.push_back({store::Event::Type::kPut,
                        GoneState(change->machine, change->name, *put, batch.revision)});
    }
    for (store::Event& event : forged) batch.events.push_back(std::move(event));
  }
};

// What the engine knows of assignments, for those that lie to it about states.
class KnowsAssignments : public Tamper {
 public:
  void OnRange(const Client& client, const store::RangeRequest&,
               store::RangeResult& result) override {
    if (client.role != Role::kEngine) return;
    for (store::KeyValue& kv : result.kvs) Note(kv);
    for (store::KeyValue& kv : result.kvs) ChangeState(kv);
  }
  void OnBatch(const Client& client, store::WatchBatch& batch) override {
    if (client.role != Role::kEngine) return;
    for (store::Event& event : batch.events) {
      if (event.type == store::Event::Type::kPut) Note(event.kv);
    }
    for (store::Event& event : batch.events) ChangeEvent(event);
  }

 protected:
  virtual void ChangeState(store::KeyValue& /*kv*/) {}
  virtual void ChangeEvent(store::Event& event) {
    if (event.type == store::Event::Type::kPut) ChangeState(event.kv);
  }
  const Assignment* Find(const std::string& machine, const std::string& unit) const {
    const auto it = assignments_.find({machine, unit});
    return it == assignments_.end() ? nullptr : &it->second;
  }

 private:
  void Note(const store::KeyValue& kv) {
    const auto change = kKeys.Parse(kv.key);
    if (!change || change->record != Record::kAssignment) return;
    const auto put = registry::DecodeAssignment(kv.value);
    if (put.ok()) assignments_[{change->machine, change->name}] = *put;
  }
  std::map<std::pair<std::string, std::string>, Assignment> assignments_;
};

// A report counts for whatever generation is assigned: also one of before a new assignment.
class IgnoresGenerations final : public KnowsAssignments {
 public:
  void OnBatch(const Client& client, store::WatchBatch& batch) override {
    KnowsAssignments::OnBatch(client, batch);
    if (client.role != Role::kEngine) return;
    std::vector<store::Event> forged;
    for (const store::Event& event : batch.events) {
      const auto change = kKeys.Parse(event.kv.key);
      if (!change || change->record != Record::kAssignment) continue;
      const Assignment* assigned = Find(change->machine, change->name);
      if (assigned == nullptr || event.type != store::Event::Type::kPut) continue;
      if (!gone_once_.contains({change->machine, change->name})) continue;
      forged.push_back({store::Event::Type::kPut,
                        GoneState(change->machine, change->name, *assigned, batch.revision)});
    }
    for (store::Event& event : forged) batch.events.push_back(std::move(event));
  }

 protected:
  void ChangeState(store::KeyValue& kv) override {
    const auto change = kKeys.Parse(kv.key);
    if (!change || change->record != Record::kState) return;
    const auto report = registry::DecodeState(kv.value);
    if (report.ok() && report->gone) gone_once_.insert({change->machine, change->name});
  }

 private:
  std::set<std::pair<std::string, std::string>> gone_once_;
};

// Where no state is reported, the unit counts as gone.
class TakesAbsenceForTheEnd final : public KnowsAssignments {
 protected:
  void ChangeEvent(store::Event& event) override {
    const auto change = kKeys.Parse(event.kv.key);
    if (event.type != store::Event::Type::kDelete || !change) return;
    if (change->record != Record::kState) return;
    const Assignment* assigned = Find(change->machine, change->name);
    if (assigned == nullptr) return;
    event = {store::Event::Type::kPut,
             GoneState(change->machine, change->name, *assigned, event.kv.mod_revision)};
  }
};

// An agent's read ends early, and what it lacks is stopped.
class ActsOnPartialReads final : public Tamper {
 public:
  void OnRange(const Client& client, const store::RangeRequest& request,
               store::RangeResult& result) override {
    if (client.role != Role::kAgent ||
        request.range.key.find("assignments/") == std::string::npos) {
      return;
    }
    for (size_t i = result.kvs.size() / 2; i < result.kvs.size(); ++i) {
      auto assignment = registry::DecodeAssignment(result.kvs[i].value);
      if (!assignment.ok()) continue;
      assignment->state = AssignmentState::kGone;
      result.kvs[i].value = registry::Encode(*assignment);
    }
  }
};

// Every tenth of a user's changes is acknowledged, and not done.
class ForgetsWrites final : public Tamper {
 public:
  bool PretendsToCommit(const Client& client) override {
    return client.role == Role::kUser && ++commits_ % 10 == 0;
  }

 private:
  int commits_ = 0;
};

class LosesEvents final : public Tamper {
 public:
  void OnCommit(const Client& client, store::Txn& txn) override {
    if (client.role != Role::kEngine) return;
    std::erase_if(txn.ops, [](const store::Op& op) {
      const auto* put = std::get_if<store::Put>(&op);
      return put != nullptr && put->key.starts_with(kKeys.prefix() + "events/");
    });
  }
};

template <typename T>
using Decoder = absl::StatusOr<T> (*)(std::string_view);

// Changes the records of one kind, decoded.
template <typename T>
auto ChangeRecords(Record record, Decoder<T> decode, std::function<void(T&)> change) {
  return [record, decode, change = std::move(change)](auto& kv) {
    if (!Is(kv.key, record)) return;
    auto value = decode(kv.value);
    if (!value.ok()) return;
    change(*value);
    kv.value = registry::Encode(*value);
  };
}

struct Entry {
  Mutant mutant;
  std::function<std::unique_ptr<Tamper>()> make;
};

std::unique_ptr<Tamper> DropCompares(DropsCompares::Filter filter) {
  return std::make_unique<DropsCompares>(std::move(filter));
}

const std::vector<Entry>& Entries() {
  static const auto& entries = *new std::vector<Entry>{
      {{"fence-removed", "a deposed leader's transactions are committed", {"S5"}},
       [] { return DropCompares([](const auto& c) { return c.key == kKeys.Leader(); }); }},
      {{"unit-guard-removed", "placements do not compare the unit's record", {"S5"}},
       [] { return DropCompares([](const auto& c) { return Is(c.key, Record::kUnit); }); }},
      {{"target-guard-removed", "placements do not compare the target machine", {"S5", "S2", "S6"}},
       [] {
         return DropCompares(
             [](const auto& c) { return c.revision != 0 && Is(c.key, Record::kMachine); });
       }},
      {{"lost-guard-removed", "moves do not compare that the old machine is absent", {"S1"}},
       [] {
         return DropCompares(
             [](const auto& c) { return c.revision == 0 && Is(c.key, Record::kMachine); });
       }},
      {{"hand-over-wait-removed", "the engine does not wait for the old machine", {"S1"}},
       [] { return std::make_unique<DoesNotWait>(); }},
      {{"generation-check-removed", "a report of an old generation counts", {"S1", "L1"}},
       [] { return std::make_unique<IgnoresGenerations>(); }},
      {{"absence-means-gone", "a state that is not there counts as stopped", {"S1"}},
       [] { return std::make_unique<TakesAbsenceForTheEnd>(); }},
      {{"gone-before-stopped",
        "an agent reports a unit gone that it has yet to stop",
        {"S1", "L1"}},
       [] {
         return std::make_unique<ChangesWrites>(
             Role::kAgent, ChangeRecords<StateReport>(Record::kState, &registry::DecodeState,
                                                      [](StateReport& report) {
                                                        if (report.active_state != "deactivating") {
                                                          return;
                                                        }
                                                        report.gone = true;
                                                      }));
       }},
      {{"partial-reads-acted-on", "an agent stops what a read that ended early lacks", {"S3"}},
       [] { return std::make_unique<ActsOnPartialReads>(); }},
      {{"tombstones-ignored", "agents do not stop what has a tombstone", {"L1"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kAgent,
             ChangeRecords<Assignment>(Record::kAssignment, &registry::DecodeAssignment,
                                       [](Assignment& assignment) {
                                         if (assignment.state == AssignmentState::kGone) {
                                           assignment.state = AssignmentState::kLaunched;
                                         }
                                       }));
       }},
      {{"events-lost", "transactions do not say why", {"S8"}},
       [] { return std::make_unique<LosesEvents>(); }},
      {{"generations-go-back", "assignments get a generation below the last", {"S7"}},
       [] {
         return std::make_unique<ChangesWrites>(
             Role::kEngine,
             ChangeRecords<Assignment>(Record::kAssignment, &registry::DecodeAssignment,
                                       [](Assignment& assignment) {
                                         assignment.generation = 1000000 - assignment.generation;
                                       }));
       }},
      {{"acknowledged-not-stored", "the API acknowledges what it has not stored", {"S4"}},
       [] { return std::make_unique<ForgetsWrites>(); }},
      {{"refusals-dropped", "a unit that is not placed does not say why", {"L3", "L2"}},
       [] {
         return std::make_unique<ChangesWrites>(
             Role::kEngine,
             ChangeRecords<UnitRecord>(Record::kUnit, &registry::DecodeUnit,
                                       [](UnitRecord& record) { record.refusal.clear(); }));
       }},
      {{"restless", "the engine takes what it has written for something else", {"L2", "L1"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine,
             ChangeRecords<Assignment>(Record::kAssignment, &registry::DecodeAssignment,
                                       [](Assignment& assignment) {
                                         // Of some units: the run has to come to its end.
                                         if (assignment.uid.ends_with('0')) ++assignment.starts;
                                       }));
       }},
      {{"capacity-ignored", "machines are promised more than they have", {"S2"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine, ChangeRecords<MachineRecord>(Record::kMachine, &registry::DecodeMachine,
                                                         [](MachineRecord& machine) {
                                                           machine.milli_cores *= 10;
                                                           machine.memory_bytes *= 10;
                                                         }));
       }},
      {{"overrides-ignored", "the metadata that operators set does not count", {"S2", "L1"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine, ChangeRecords<MachineSettings>(
                                Record::kSettings, &registry::DecodeSettings,
                                [](MachineSettings& settings) { settings.set_metadata.clear(); }));
       }},
      {{"versions-ignored", "older versions are taken for the newest", {"S5", "S2"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine, ChangeRecords<MachineRecord>(Record::kMachine, &registry::DecodeMachine,
                                                         [](MachineRecord& machine) {
                                                           machine.features = KnownFeatures();
                                                         }));
       }},
      {{"leaving-ignored", "a machine that leaves gets new units", {"S6"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine,
             ChangeRecords<MachineRecord>(Record::kMachine, &registry::DecodeMachine,
                                          [](MachineRecord& machine) { machine.leaving = false; }));
       }},
      {{"rollouts-all-at-once", "a rollout does not keep to MaxUnavailable", {"S6"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine, ChangeRecords<RolloutRecord>(
                                Record::kRollout, &registry::DecodeRollout,
                                [](RolloutRecord& rollout) { rollout.max_unavailable = "100"; }));
       }},
      {{"deadline-ignored", "the deadline of a drain does not count", {"L4"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine,
             ChangeRecords<MachineSettings>(Record::kSettings, &registry::DecodeSettings,
                                            [](MachineSettings& settings) {
                                              settings.drain_deadline = absl::InfiniteFuture();
                                            }));
       }},
      {{"cordon-ignored", "a cordoned machine gets new units, a drained one keeps its own", {"S6"}},
       [] {
         return std::make_unique<ChangesReads>(
             Role::kEngine,
             ChangeRecords<MachineSettings>(
                 Record::kSettings, &registry::DecodeSettings,
                 [](MachineSettings& settings) { settings.cordoned = settings.drained = false; }));
       }},
      {{"states-without-lease", "reports outlive their machine", {"C3"}},
       [] {
         return std::make_unique<ChangesWrites>(Role::kAgent, [](store::Put& put) {
           if (Is(put.key, Record::kState)) put.lease = 0;
         });
       }},
  };
  return entries;
}

}  // namespace

const std::vector<Mutant>& Mutants() {
  static const auto& mutants = *new std::vector<Mutant>([] {
    std::vector<Mutant> all;
    for (const Entry& entry : Entries()) all.push_back(entry.mutant);
    return all;
  }());
  return mutants;
}

std::unique_ptr<Tamper> MakeMutant(const std::string& name) {
  for (const Entry& entry : Entries()) {
    if (entry.mutant.name == name) return entry.make();
  }
  return nullptr;
}

}  // namespace fleet::sim
