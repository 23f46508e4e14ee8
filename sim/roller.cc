#include "sim/roller.h"

#include <utility>
#include <vector>

#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "registry/codec.h"

namespace fleet::sim {

namespace {

const char* const kTemplate = "roll@.service";
constexpr int64_t kMostReplicas = 6;

}  // namespace

Roller::Roller(const StoreWorld* world, const registry::Keys& keys)
    : world_(world),
      keys_(keys),
      link_(world->queue, world->random),
      clock_{.since = world->queue->now(), .then = world->queue->now()},
      process_(world->queue, &clock_, [] {}),
      store_(world, Client{Client::Role::kUser, ""}, &link_, &process_),
      mirror_(&store_, &process_, keys, [](const ViewChange&) {}) {
  mirror_.Start();
}

std::shared_ptr<const UnitFile> Roller::NewText() {
  Random& random = *world_->random;
  const char* kind = "runs";
  if (random.Chance(0.15)) kind = random.Chance(0.5) ? "fails" : "crashes";
  const int64_t start = random.Chance(0.1) ? random.Between(300, 1000) : random.Between(1, 50);
  auto file = UnitFile::Parse(
      fmt::format("# roll {}\n[Service]\nExecStart=/usr/bin/sim {} {} {}\n[X-Fleet]\n"
                  "Replicas={}\nMaxUnavailable={}\nHealthyAfter=200ms\n",
                  ++version_, kind, start, random.Between(1, 50), random.Between(1, kMostReplicas),
                  random.Between(1, 2)));
  return std::make_shared<const UnitFile>(*std::move(file));
}

void Roller::Act() {
  if (mirror_.view() == nullptr) return;
  const auto* unit = mirror_.view()->units.Find(kTemplate);
  if (unit == nullptr) return Create();
  switch (world_->random->Below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return Scale(*unit);
    case 4:
      return Destroy(kTemplate, *unit);
    case 5:
    case 6:
      return DestroyInstance();
    case 7:
    case 8:
      return Begin(*unit, /*restarts=*/true);
    case 9:
    case 10:
      return SetState(RolloutState::kRunning, RolloutState::kPaused);
    case 11:
    case 12:
    case 13:
      return SetState(RolloutState::kPaused, RolloutState::kRunning);
    default:
      return Begin(*unit, /*restarts=*/false);
  }
}

void Roller::Create() {
  const auto file = NewText();
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(kTemplate), 0)};
  txn.ops.emplace_back(
      store::Put{keys_.Content(file->hash()), registry::Encode(Content{.file = file})});
  txn.ops.emplace_back(store::Put{
      keys_.Unit(kTemplate),
      registry::Encode(UnitRecord{.uid = world_->random->Id(), .content_hash = file->hash()})});
  Commit("submitted", std::move(txn));
}

void Roller::Scale(const Stored<UnitRecord>& unit) {
  UnitRecord record = unit.value;
  record.replicas = world_->random->Between(0, kMostReplicas);
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(kTemplate), unit.mod_revision)};
  txn.ops.emplace_back(store::Put{keys_.Unit(kTemplate), registry::Encode(record)});
  Commit(fmt::format("scaled to {}", *record.replicas), std::move(txn));
}

void Roller::Destroy(const std::string& name, const Stored<UnitRecord>& unit) {
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(name), unit.mod_revision)};
  txn.ops.emplace_back(store::Delete{{keys_.Unit(name), ""}});
  Commit("destroyed " + name, std::move(txn));
}

void Roller::DestroyInstance() {
  const ClusterView& view = *mirror_.view();
  auto instances = reconcile::InstancesIn(view, kTemplate);
  if (instances.empty()) return;
  const std::string& unit = world_->random->Pick(instances);
  Destroy(unit, *view.units.Find(unit));
}

void Roller::Begin(const Stored<UnitRecord>& unit, bool restarts) {
  Random& random = *world_->random;
  const auto* last = mirror_.view()->rollouts.Find(kTemplate);
  const RolloutRecord* before = last == nullptr ? nullptr : &last->value;
  if (before != nullptr && reconcile::IsUnfinished(*before) && random.Chance(0.7)) return;
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(kTemplate), unit.mod_revision),
                  Unchanged(keys_.Rollout(kTemplate), last == nullptr ? 0 : last->mod_revision)};
  RolloutRecord rollout;
  if (restarts) {
    rollout = reconcile::RestartOf(before, random.Id(), unit.value.content_hash);
  } else {
    const auto file = NewText();
    rollout = reconcile::RolloutOf(before, random.Id(), file->hash(), unit.value.content_hash,
                                   process_.WallNow(), "update");
    UnitRecord record = unit.value;
    record.content_hash = file->hash();
    txn.ops.emplace_back(
        store::Put{keys_.Content(file->hash()), registry::Encode(Content{.file = file})});
    txn.ops.emplace_back(store::Put{keys_.Unit(kTemplate), registry::Encode(record)});
  }
  rollout.rolls_back = random.Chance(0.5);
  if (random.Chance(0.5)) rollout.max_unavailable = fmt::format("{}", random.Between(1, 3));
  txn.ops.emplace_back(store::Put{keys_.Rollout(kTemplate), registry::Encode(rollout)});
  Commit(restarts ? "began a restart" : "began an update", std::move(txn));
}

void Roller::SetState(RolloutState from, RolloutState to) {
  const auto* last = mirror_.view()->rollouts.Find(kTemplate);
  if (last == nullptr || last->value.state != from) return;
  RolloutRecord rollout = last->value;
  rollout.state = to;
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Rollout(kTemplate), last->mod_revision)};
  txn.ops.emplace_back(store::Put{keys_.Rollout(kTemplate), registry::Encode(rollout)});
  Commit(fmt::format("set the rollout {}", ToString(to)), std::move(txn));
}

store::Compare Roller::Unchanged(const std::string& key, int64_t mod_revision) const {
  return {store::Compare::Target::kModRevision, key, mod_revision};
}

// One that was decided on an old view is left out.
void Roller::Commit(const std::string& what, store::Txn txn) {
  world_->trace("roller: " + what);
  store_.Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>&) {});
}

}  // namespace fleet::sim
