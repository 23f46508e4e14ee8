#include "sim/roller.h"

#include <utility>
#include <vector>

#include "fmt/core.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "reconcile/rollout.h"
#include "registry/codec.h"

namespace fleet::sim {

namespace {

const char* const kTemplate = "roll@.service";
const char* const kUnit = "alone.service";
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
  const char* where = "";
  if (random.Chance(0.3)) {
    where = random.Chance(0.5) ? "MachineMetadata=zone=a\n" : "MachineMetadata=zone=nowhere\n";
  }
  const int64_t start = random.Chance(0.1) ? random.Between(300, 1000) : random.Between(1, 50);
  auto file = UnitFile::Parse(
      fmt::format("# roll {}\n[Service]\nExecStart=/usr/bin/sim {} {} {}\n[X-Fleet]\n"
                  "Replicas={}\nMaxUnavailable={}\nHealthyAfter=200ms\n{}",
                  ++version_, kind, start, random.Between(1, 50), random.Between(1, kMostReplicas),
                  random.Between(1, 2), where));
  return std::make_shared<const UnitFile>(*std::move(file));
}

void Roller::Act() {
  if (mirror_.view() == nullptr) return;
  const auto* unit = mirror_.view()->units.Find(kTemplate);
  if (unit == nullptr) return Create(kTemplate, DesiredState::kInactive);
  if (mirror_.view()->units.Find(kUnit) == nullptr && world_->random->Chance(0.3)) {
    return Create(kUnit, DesiredState::kLaunched);
  }
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
      return Begin(/*restarts=*/true);
    case 9:
    case 10:
      return SetState(RolloutState::kRunning, RolloutState::kPaused);
    case 11:
    case 12:
    case 13:
      return SetState(RolloutState::kPaused, RolloutState::kRunning);
    default:
      return Begin(/*restarts=*/false);
  }
}

void Roller::Create(const std::string& name, DesiredState desired) {
  const auto file = NewText();
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(name), 0)};
  txn.ops.emplace_back(
      store::Put{keys_.Content(file->hash()), registry::Encode(Content{.file = file})});
  txn.ops.emplace_back(store::Put{
      keys_.Unit(name),
      registry::Encode(UnitRecord{
          .uid = world_->random->Id(), .desired = desired, .content_hash = file->hash()})});
  Commit("submitted " + name, std::move(txn));
}

void Roller::Scale(const Stored<UnitRecord>& unit) {
  UnitRecord record = unit.value;
  // One more means that the number is taken back.
  const int64_t replicas = world_->random->Between(0, kMostReplicas + 1);
  record.replicas = replicas > kMostReplicas ? std::nullopt : std::optional(replicas);
  store::Txn txn;
  txn.compares = {Unchanged(keys_.Unit(kTemplate), unit.mod_revision)};
  txn.ops.emplace_back(store::Put{keys_.Unit(kTemplate), registry::Encode(record)});
  Commit(record.replicas ? fmt::format("scaled to {}", replicas) : "scaled to what its text says",
         std::move(txn));
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
  if (view.units.Find(kUnit) != nullptr) instances.emplace_back(kUnit);
  if (instances.empty()) return;
  const std::string& unit = world_->random->Pick(instances);
  Destroy(unit, *view.units.Find(unit));
}

// Of the template, of the unit beside it, or of both as one.
void Roller::Begin(bool restarts) {
  Random& random = *world_->random;
  const ClusterView& view = *mirror_.view();
  std::vector<std::string> names = {kTemplate, kUnit};
  if (const auto what = random.Below(4); what < 3) names.erase(names.begin() + (what == 0 ? 0 : 1));
  std::erase_if(names, [&](const std::string& name) { return view.units.Find(name) == nullptr; });
  if (names.empty()) return;
  if (names.size() > 1 && !CheckEnabled(view, kRolloutSetFeature, "a rollout of both").ok()) {
    ++refused_;
    return world_->trace("roller: a rollout of both is refused");
  }
  const std::string uid = random.Id();
  const bool rolls_back = random.Chance(0.5);
  const std::string at_once = random.Chance(0.5) ? fmt::format("{}", random.Between(1, 3)) : "";
  store::Txn txn;
  for (const std::string& name : names) {
    const auto& unit = *view.units.Find(name);
    const auto* last = view.rollouts.Find(name);
    const RolloutRecord* before = last == nullptr ? nullptr : &last->value;
    if (before != nullptr && reconcile::IsUnfinished(*before) && random.Chance(0.7)) return;
    txn.compares.push_back(Unchanged(keys_.Unit(name), unit.mod_revision));
    txn.compares.push_back(
        Unchanged(keys_.Rollout(name), last == nullptr ? 0 : last->mod_revision));
    RolloutRecord rollout;
    if (restarts) {
      rollout = reconcile::RestartOf(before, uid, unit.value.content_hash);
    } else {
      const auto file = NewText();
      rollout = reconcile::RolloutOf(before, uid, file->hash(), unit.value.content_hash,
                                     process_.WallNow(), "update");
      txn.ops.emplace_back(
          store::Put{keys_.Content(file->hash()), registry::Encode(Content{.file = file})});
      UnitRecord record = unit.value;
      record.content_hash = file->hash();
      if (name == kTemplate) {
        txn.ops.emplace_back(store::Put{keys_.Unit(name), registry::Encode(record)});
      }
    }
    rollout.rolls_back = rolls_back;
    rollout.max_unavailable = at_once;
    if (names.size() > 1) rollout.together = names;
    txn.ops.emplace_back(store::Put{keys_.Rollout(name), registry::Encode(rollout)});
  }
  Commit(fmt::format("began {} of {}", restarts ? "a restart" : "an update",
                     fmt::join(names, " and ")),
         std::move(txn));
}

// With all its names.
void Roller::SetState(RolloutState from, RolloutState to) {
  const ClusterView& view = *mirror_.view();
  const std::string name = world_->random->Chance(0.5) ? kTemplate : kUnit;
  const auto* last = view.rollouts.Find(name);
  if (last == nullptr || last->value.state != from) return;
  store::Txn txn;
  for (const std::string& one : reconcile::NamesOfRollout(view, name, last->value)) {
    const auto& stored = *view.rollouts.Find(one);
    RolloutRecord rollout = stored.value;
    rollout.state = to;
    txn.compares.push_back(Unchanged(keys_.Rollout(one), stored.mod_revision));
    txn.ops.emplace_back(store::Put{keys_.Rollout(one), registry::Encode(rollout)});
  }
  Commit(fmt::format("set the rollout of {} {}", name, ToString(to)), std::move(txn));
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
