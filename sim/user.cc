#include "sim/user.h"

#include <utility>

#include "fmt/core.h"
#include "model/features.h"
#include "registry/codec.h"

namespace fleet::sim {

namespace {

// What [X-Fleet] asks for, by the unit's number: mostly nothing, and each constraint somewhere. A
// unit follows only those with a lower number, so that there are no circles.
std::string OptionsOf(size_t number, Random& random) {
  switch (random.Below(20)) {
    case 0:
      return "Conflicts=web@*.service\n";
    case 1:
      return "MachineMetadata=zone=a\n";
    case 2:
      return number == 0 ? "" : fmt::format("MachineOf=u{}.service\n", random.Below(number));
    case 3:
      return "Global=true\n";
    case 4:
      return "ReserveCPU=1\n";
    case 5:
      return "ReserveCPU=2\nReserveMemory=3G\n";
    case 6:
      return "ConflictsWithin=zone=u1*.service\n";
    case 7:
      return "SpreadOver=zone\n";
    case 8:
      return "ReserveMemory=1G\nPriority=1\n";
    case 9:
    case 10:
      return "OnIsolation=stop\n";
    case 11:
      return "Reschedule=on-failure\n";
    default:
      return "";
  }
}

// By then a change whose answer did not come has taken effect, or never will.
constexpr absl::Duration kLatest = absl::Seconds(15);
constexpr std::string_view kUnknownField("\xa0\x1f\x01", 3);  // number 500, a varint

}  // namespace

User::User(const StoreWorld* world, const registry::Keys& keys, size_t units,
           std::vector<std::string> machines)
    : world_(world),
      keys_(keys),
      machines_(std::move(machines)),
      link_(world->queue, world->random),
      clock_{.since = world->queue->now(), .then = world->queue->now()},
      process_(world->queue, &clock_, [] {}),
      store_(world, Client{Client::Role::kUser, ""}, &link_, &process_),
      mirror_(&store_, &process_, keys, [](const ViewChange&) {}),
      changer_(&store_, keys) {
  Random& random = *world->random;
  for (size_t i = 0; i < units; ++i) {
    Unit unit;
    if (i % 4 == 3) {
      unit.name = fmt::format("web@{}.service", i);
      unit.options = "Conflicts=web@*.service\n";
      if (i % 8 == 3) unit.options = "";
    } else {
      unit.name = fmt::format("u{}.service", i);
      unit.options = OptionsOf(i, random);
    }
    units_.push_back(std::move(unit));
  }
  mirror_.Start();
}

std::string User::TextOf(const Unit& unit) {
  Random& random = *world_->random;
  const char* kind = "runs";
  // One that always fails would be tried again for ever.
  const bool must_run = unit.options.find("Reschedule") != std::string::npos;
  switch (must_run ? 100 : random.Below(20)) {
    case 0:
      kind = "fails";
      break;
    case 1:
      kind = "crashes";
      break;
    case 2:
      kind = "finishes";
      break;
    default:
      break;
  }
  const int64_t start = random.Chance(0.1) ? random.Between(500, 3000) : random.Between(1, 50);
  const int64_t stop = random.Chance(0.1) ? random.Between(500, 3000) : random.Between(1, 50);
  return fmt::format("# {}\n[Service]\nExecStart=/usr/bin/sim {} {} {}\n[X-Fleet]\n{}",
                     unit.version, kind, start, stop, unit.options);
}

void User::Act() {
  if (mirror_.view() == nullptr) return;
  Random& random = *world_->random;
  Unit& unit = random.Pick(units_);
  if (unit.busy) return;
  registry::UnitChange change{.name = unit.name};
  const bool exists = mirror_.view()->units.Find(unit.name) != nullptr;
  const size_t what = exists ? random.Below(16) : 0;
  Checker::Promise promise = unit.promise.value_or(Checker::Promise());
  promise.exists = true;
  switch (what) {
    case 1:  // stop
      change.desired = promise.desired = DesiredState::kLoaded;
      break;
    case 2:  // unload
      change.desired = promise.desired = DesiredState::kInactive;
      break;
    case 3:
    case 4:
      change.destroy = true;
      promise = {};
      break;
    case 5:
    case 6:
      if (promise.desired == DesiredState::kInactive) return;
      change.restart = true;
      promise.desired = DesiredState::kLaunched;
      break;
    case 7:
    case 8:
    case 9: {  // another text
      ++unit.version;
      auto file = UnitFile::Parse(TextOf(unit));
      change.file = std::make_shared<const UnitFile>(*std::move(file));
      change.replace = true;
      change.desired = promise.desired = DesiredState::kLaunched;
      promise.content_hash = change.file->hash();
      break;
    }
    default: {
      change.desired = promise.desired = DesiredState::kLaunched;
      if (exists) break;
      ++unit.version;
      auto file = UnitFile::Parse(TextOf(unit));
      change.file = std::make_shared<const UnitFile>(*std::move(file));
      promise.content_hash = change.file->hash();
      break;
    }
  }
  // What is stored is not known: neither is what this makes of it.
  const bool known = unit.promise.has_value() || (change.file != nullptr && change.replace);
  if (!known && !change.destroy && exists) {
    ++unit.version;
    auto file = UnitFile::Parse(TextOf(unit));
    change = {.name = unit.name,
              .desired = DesiredState::kLaunched,
              .file = std::make_shared<const UnitFile>(*std::move(file)),
              .replace = true};
    promise = {true, DesiredState::kLaunched, change.file->hash()};
  }
  Change(unit, std::move(change), promise);
}

void User::Change(Unit& unit, registry::UnitChange change, const Checker::Promise& promise) {
  world_->trace(fmt::format("user: {} {} {}{}{}", unit.name, ToString(promise.desired),
                            promise.content_hash.substr(0, 7), change.destroy ? " destroy" : "",
                            change.restart ? " restart" : ""));
  unit.busy = true;
  unit.promise.reset();
  ++changes_;
  std::vector<registry::UnitChange> changes;
  const bool destroys = change.destroy;
  const bool replaces = change.replace;
  changes.push_back(std::move(change));
  changer_.Apply(
      mirror_.view(), std::move(changes),
      [this, &unit, promise, destroys, replaces](std::vector<registry::UnitChangeResult> results) {
        unit.busy = false;
        const auto& result = results.front();
        const absl::Time now = world_->queue->now();
        if (absl::IsDeadlineExceeded(result.status)) unit.unsure_until = now + kLatest;
        const bool done = result.status.ok() ? replaces || !result.differs
                                             : destroys && absl::IsNotFound(result.status);
        if (done && now >= unit.unsure_until) unit.promise = promise;
        world_->trace(fmt::format("user: {} {}", unit.name, result.status.ToString()));
      });
}

void User::Put(const std::string& key, std::string value) {
  store::Txn txn;
  txn.ops.emplace_back(store::Put{key, std::move(value)});
  store_.Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>&) {});
}

void User::SetMetadata() {
  Random& random = *world_->random;
  MachineSettings settings;
  settings.set_metadata["zone"] = std::string(1, "abc"[random.Below(3)]);
  std::string value = registry::Encode(settings);
  if (newer_) value += kUnknownField;
  Put(keys_.Settings(random.Pick(machines_)), std::move(value));
}

void User::SetDrain() {
  if (mirror_.view() == nullptr) return;
  Random& random = *world_->random;
  const std::string& machine = random.Pick(machines_);
  const auto* stored = mirror_.view()->settings.Find(machine);
  MachineSettings settings = stored == nullptr ? MachineSettings{} : stored->value;
  switch (random.Below(8)) {
    case 0:
      settings.cordoned = true;
      break;
    case 1:
    case 2: {
      // With a deadline or without one, which is by the clock of whoever leads then.
      const bool ends = random.Chance(0.5);
      if (ends && !CheckEnabled(*mirror_.view(), kDrainDeadlineFeature, "a deadline").ok()) {
        ++refused_;
        return world_->trace("user: a drain with a deadline is refused");
      }
      settings.Drain(ends ? process_.WallNow() + absl::Milliseconds(random.Between(0, 5000))
                          : absl::InfiniteFuture(),
                     ends && random.Chance(0.5));
      break;
    }
    case 3:
      if (settings.lock_group.empty()) {
        settings.lock_group = random.Chance(0.5) ? "a" : "b";
        settings.lock_since = process_.WallNow();
      }
      settings.lock_repeated = process_.WallNow();
      break;
    case 4:
      settings.GiveBackSlot();
      break;
    default: {
      settings.cordoned = settings.drained = settings.drain_forces = settings.drain_expired = false;
      settings.drain_deadline = absl::InfiniteFuture();
      break;
    }
  }
  world_->trace(fmt::format("user: {}{}{} lock \"{}\"", machine,
                            settings.cordoned ? " cordoned" : "",
                            settings.drained ? " drained" : "", settings.lock_group));
  std::string value = registry::Encode(settings);
  if (newer_) value += kUnknownField;
  store::Txn txn;
  txn.compares = {
      {.key = keys_.Settings(machine), .revision = stored == nullptr ? 0 : stored->mod_revision}};
  txn.ops.emplace_back(store::Put{keys_.Settings(machine), std::move(value)});
  store_.Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>&) {});
}

void User::Poison() {
  Random& random = *world_->random;
  const std::string garbage = "\xff\xff not a record";
  switch (random.Below(3)) {
    case 0:
      return Put(keys_.Unit(fmt::format("poison{}.service", ++poisoned_)), garbage);
    case 1:
      return Put(keys_.Content(random.Id()), garbage);
    default:
      return Put(keys_.Settings("nobody"), garbage);
  }
}

void User::CheckPromises(Checker& checker) const {
  for (const Unit& unit : units_) {
    if (unit.promise && !unit.busy) checker.CheckPromise(unit.name, *unit.promise);
  }
}

}  // namespace fleet::sim
