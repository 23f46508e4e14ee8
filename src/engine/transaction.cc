#include "engine/transaction.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>
#include <variant>

#include "registry/codec.h"

namespace fleet::engine {

namespace {

using reconcile::Decision;
using reconcile::Guard;

store::Compare ToCompare(const registry::Keys& keys, const Guard& guard) {
  using Target = store::Compare::Target;
  switch (guard.kind) {
    case Guard::Kind::kUnit:
      return {Target::kModRevision, keys.Unit(guard.unit), guard.revision};
    case Guard::Kind::kSettings:
      return {Target::kModRevision, keys.Settings(guard.machine), guard.revision};
    case Guard::Kind::kMachine:
      return {Target::kCreateRevision, keys.Machine(guard.machine), guard.revision};
    case Guard::Kind::kMachineRecord:
      return {Target::kModRevision, keys.Machine(guard.machine), guard.revision};
    case Guard::Kind::kAssignment:
      return {Target::kModRevision, keys.Assignment(guard.machine, guard.unit), guard.revision};
    case Guard::Kind::kState:
      return {Target::kModRevision, keys.State(guard.machine, guard.unit), guard.revision};
    case Guard::Kind::kRollout:
      return {Target::kModRevision, keys.Rollout(guard.unit), guard.revision};
    case Guard::Kind::kCluster:
      return {Target::kModRevision, keys.Cluster(guard.unit), guard.revision};
    case Guard::Kind::kContent:
      break;
  }
  return {Target::kCreateRevision, keys.Content(guard.unit), guard.revision};
}

store::Op ToOp(const registry::Keys& keys, const reconcile::Write& write) {
  if (const auto* put = std::get_if<reconcile::PutAssignment>(&write)) {
    return store::Put{keys.Assignment(put->machine, put->unit), registry::Encode(put->assignment)};
  }
  if (const auto* removed = std::get_if<reconcile::DeleteAssignment>(&write)) {
    return store::Delete{{keys.Assignment(removed->machine, removed->unit), ""}};
  }
  if (const auto* unit = std::get_if<reconcile::PutUnit>(&write)) {
    return store::Put{keys.Unit(unit->unit), registry::Encode(unit->record)};
  }
  if (const auto* removed = std::get_if<reconcile::DeleteUnit>(&write)) {
    return store::Delete{{keys.Unit(removed->unit), ""}};
  }
  if (const auto* rollout = std::get_if<reconcile::PutRollout>(&write)) {
    const std::string key = keys.Rollout(rollout->unit);
    if (!rollout->record) return store::Delete{{key, ""}};
    return store::Put{key, registry::Encode(*rollout->record)};
  }
  if (const auto* settings = std::get_if<reconcile::PutSettings>(&write)) {
    const std::string key = keys.Settings(settings->machine);
    if (settings->settings == MachineSettings{}) return store::Delete{{key, ""}};
    return store::Put{key, registry::Encode(settings->settings)};
  }
  if (const auto* hold = std::get_if<reconcile::PutHold>(&write)) {
    if (!hold->record) return store::Delete{{keys.Cluster("hold"), ""}};
    return store::Put{keys.Cluster("hold"), registry::Encode(*hold->record)};
  }
  return store::Put{keys.Cluster("features"),
                    registry::Encode(std::get<reconcile::PutFeatures>(write).record)};
}

// Collects compares without repetition.
class CompareSet {
 public:
  void Add(store::Compare compare) {
    if (!seen_.insert({compare.target, compare.key, compare.revision}).second) return;
    compares_.push_back(std::move(compare));
  }
  // How many of these are not in it yet.
  size_t CountNew(const std::vector<store::Compare>& more) const {
    return static_cast<size_t>(std::count_if(more.begin(), more.end(), [&](const auto& compare) {
      return !seen_.contains({compare.target, compare.key, compare.revision});
    }));
  }
  size_t size() const { return compares_.size(); }
  std::vector<store::Compare> Take() { return std::move(compares_); }

 private:
  std::set<std::tuple<store::Compare::Target, std::string, int64_t>> seen_;
  std::vector<store::Compare> compares_;
};

}  // namespace

store::Txn MakeTransaction(const registry::Keys& keys, const Fence& fence,
                           const std::vector<Decision>& decisions) {
  store::Txn txn;
  CompareSet compares;
  compares.Add({store::Compare::Target::kModRevision, keys.Leader(), fence.leader_revision});
  for (const Decision& decision : decisions) {
    for (const Guard& guard : decision.guards) compares.Add(ToCompare(keys, guard));
    for (const reconcile::Write& write : decision.writes) txn.ops.push_back(ToOp(keys, write));
  }
  txn.compares = compares.Take();
  return txn;
}

std::vector<std::vector<Decision>> SplitIntoTransactions(const registry::Keys& keys,
                                                         std::vector<Decision> decisions,
                                                         size_t reserved_ops) {
  std::vector<std::vector<Decision>> groups;
  CompareSet compares;
  size_t ops = 0;
  for (Decision& decision : decisions) {
    std::vector<store::Compare> wanted;
    wanted.reserve(decision.guards.size());
    for (const Guard& guard : decision.guards) wanted.push_back(ToCompare(keys, guard));
    // One compare more is the fence.
    const bool fits = !groups.empty() &&
                      compares.size() + compares.CountNew(wanted) + 1 <= store::kMaxTxnSize &&
                      ops + decision.writes.size() + reserved_ops <= store::kMaxTxnSize;
    if (!fits) {
      groups.emplace_back();
      compares = CompareSet();
      ops = 0;
    }
    for (store::Compare& compare : wanted) compares.Add(std::move(compare));
    ops += decision.writes.size();
    groups.back().push_back(std::move(decision));
  }
  return groups;
}

}  // namespace fleet::engine
