#include "sim/faults.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fmt/core.h"
#include "sim/cluster.h"

namespace fleet::sim {

namespace {

struct Kind {
  std::string_view name;
  int weight;
};
constexpr std::array<Kind, kFaultKinds> kKinds = {{
    {"fleetd killed", 6},
    {"fleetd killed at a commit", 6},
    {"fleetd killed at a file", 6},
    {"fleetd paused", 4},
    {"leader paused", 4},
    {"power lost", 5},
    {"power lost, disk emptied", 2},
    {"reboot", 2},
    {"fleetd restarted", 3},
    {"fleetd stopped for good", 2},
    {"partition", 5},
    {"partition, one way out", 4},
    {"partition, one way in", 4},
    {"leader partitioned", 4},
    {"all clogged, unclogged one by one", 2},
    {"slow network", 3},
    {"watch events delayed", 4},
    {"requests sent twice", 3},
    {"answers lost", 5},
    {"commits after their time-out", 5},
    {"compaction", 4},
    {"etcd's leader changed", 3},
    {"leases ended late", 2},
    {"kept leases revoked", 3},
    {"keep-alives by a deposed leader", 2},
    {"etcd down", 4},
    {"etcd down for minutes", 1},
    {"etcd restored", 1},
    {"clock rate", 3},
    {"clock jump", 3},
    {"D-Bus lost", 3},
    {"unit stopped by hand", 3},
    {"unit started by hand", 2},
    {"unit masked", 1},
    {"unit edited", 2},
    {"unit crashed", 3},
    {"jobs hang", 2},
    {"disk full", 3},
    {"30 % of machines lost", 2},
    {"zone lost", 2},
    {"machine flaps", 2},
    {"two machines with one id", 2},
    {"versions mixed", 2},
    {"poison records", 3},
}};

using absl::Milliseconds;
using absl::Minutes;
using absl::Seconds;

class Injector {
 public:
  explicit Injector(Cluster& cluster) : c_(cluster), random_(cluster.random) {}

  bool Inject(Fault fault);

 private:
  Machine& Any() { return *random_.Pick(c_.machines); }
  Machine* Leader() {
    for (auto& machine : c_.machines) {
      if (machine->leads()) return machine.get();
    }
    return nullptr;
  }
  absl::Duration For(absl::Duration low, absl::Duration high) { return random_.Between(low, high); }
  void Later(absl::Duration delay, Task task) { c_.queue.After(delay, std::move(task)); }
  // A task that breaks something.
  void BreakLater(absl::Duration delay, Task task) {
    Later(delay, [&c = c_, task = std::move(task)]() mutable {
      if (!c.calm) task();
    });
  }

  bool LosePower(Machine& machine, bool wipe, absl::Duration away) {
    if (!machine.on()) return false;
    c_.Trace("power lost: " + machine.options().name);
    machine.LosePower();
    Later(away, [&machine, wipe] { machine.Boot(wipe); });
    return true;
  }
  bool Pause(Machine* machine) {
    if (machine == nullptr || !machine->runs() || machine->paused()) return false;
    // Mostly about as long as a lease.
    const absl::Duration span =
        random_.Chance(0.1) ? For(Seconds(1), Seconds(300)) : For(Seconds(1), 3 * c_.ttl);
    c_.Trace(fmt::format("paused: {} for {}", machine->options().name, absl::FormatDuration(span)));
    machine->PauseFleetd();
    Later(span, [machine] { machine->ResumeFleetd(); });
    return true;
  }
  bool Cut(Machine* machine, bool out, bool in) {
    if (machine == nullptr || machine->link().IsCut()) return false;
    c_.Trace("cut off: " + machine->options().name);
    if (out) machine->link().Cut(Direction::kToEtcd);
    if (in) machine->link().Cut(Direction::kFromEtcd);
    Later(For(Milliseconds(100), 4 * c_.ttl), [machine] { machine->link().Heal(); });
    return true;
  }
  // A chance that is back to nothing after a while.
  bool During(double& chance, double value, absl::Duration span) {
    chance = value;
    Later(span, [&chance] { chance = 0; });
    return true;
  }
  bool ToUnit(bool (Os::*act)(const std::string&)) {
    Machine& machine = Any();
    const auto units = c_.UnitsOn(machine);
    if (units.empty()) return false;
    const std::string& unit = units[random_.Below(units.size())];
    c_.Trace(fmt::format("by hand: {} on {}", unit, machine.options().name));
    return (machine.os().*act)(unit);
  }
  bool LoseSome(const std::function<bool(const Machine&)>& which) {
    bool any = false;
    for (auto& machine : c_.machines) {
      if (which(*machine)) any |= LosePower(*machine, false, For(Seconds(1), 4 * c_.ttl));
    }
    return any;
  }
  // One machine has an older version for a while; one that has it already is updated then.
  bool Downgrade(absl::Duration span) {
    Machine& machine = Any();
    if (random_.Chance(0.5)) machine.SetVersion(Cluster::OlderVersion(random_.Below(3)));
    Later(span, [&machine] { machine.SetVersion(KnownFeatures()); });
    return true;
  }
  bool EtcdDown(absl::Duration span) {
    if (c_.etcd->down()) return false;
    c_.etcd->SetDown(true);
    Later(span, [this_etcd = c_.etcd.get()] { this_etcd->SetDown(false); });
    return true;
  }
  bool RestoreLater();
  bool Flap();
  bool AddDuplicate();

  Cluster& c_;
  Random& random_;
};

bool Injector::RestoreLater() {
  if (c_.etcd->HasBackup()) return false;
  c_.etcd->TakeBackup();
  const absl::Duration at = For(Seconds(1), Seconds(30));
  Later(at + For(Seconds(1), Seconds(5)), [&c = c_] { c.etcd->SetDown(false); });
  BreakLater(at, [&c = c_] {
    c.Trace("etcd is restored");
    c.etcd->SetDown(true);
    c.etcd->Restore();
  });
  return true;
}

// Cut off for half a TTL, there for half a TTL, several times.
bool Injector::Flap() {
  Machine& machine = Any();
  if (machine.link().IsCut()) return false;
  for (int i = 0; i < 6; ++i) {
    BreakLater(i * c_.ttl, [&machine] { machine.link().Cut(Direction::kToEtcd); });
    Later((i + 0.5) * c_.ttl, [&machine] { machine.link().Heal(); });
  }
  return true;
}

bool Injector::AddDuplicate() {
  if (c_.duplicates.size() >= 2) return false;
  const Machine& original = Any();
  if (!original.runs() || c_.checker->view()->machines.Find(original.options().id) == nullptr) {
    return false;
  }
  Machine& duplicate = c_.AddDuplicate(original);
  duplicate.Boot(/*wipe=*/true);
  // Gone before the first one is: the id would rightly be its own then.
  Later(c_.ttl / 2, [&duplicate] { duplicate.LosePower(); });
  return true;
}

bool Injector::Inject(Fault fault) {
  const absl::Duration while_ = For(Seconds(1), Seconds(10));
  switch (fault) {
    case Fault::kKillFleetd: {
      Machine& machine = Any();
      if (!machine.runs()) return false;
      machine.KillFleetd();
      return true;
    }
    case Fault::kKillAtCommit:
      return During(c_.store_faults.kill_at_commit, 0.1, For(Milliseconds(100), Seconds(2)));
    case Fault::kKillAtFile: {
      Machine& machine = Any();
      return During(machine.os().kill_at_write, 0.3, while_);
    }
    case Fault::kPauseFleetd:
      return Pause(&Any());
    case Fault::kPauseLeader:
      return Pause(Leader());
    case Fault::kPowerLoss:
      return LosePower(Any(), false, For(Seconds(1), 4 * c_.ttl));
    case Fault::kPowerLossWiped:
      return LosePower(Any(), true, For(Seconds(1), 4 * c_.ttl));
    case Fault::kReboot: {
      Machine& machine = Any();
      if (!machine.runs() || machine.paused()) return false;
      machine.StopFleetd(/*leaves=*/true);
      Later(For(Seconds(2), Seconds(6)), [&machine] {
        machine.LosePower();
        machine.Boot(false);
      });
      return true;
    }
    case Fault::kRestartFleetd: {
      Machine& machine = Any();
      if (!machine.runs() || machine.paused() || machine.leaves()) return false;
      machine.StopFleetd(/*leaves=*/false);
      return true;
    }
    case Fault::kLeave: {
      Machine& machine = Any();
      if (!machine.runs() || machine.paused() || machine.leaves()) return false;
      machine.StopFleetd(/*leaves=*/true);
      Later(For(Seconds(5), Seconds(30)), [&machine] { machine.StartFleetd(); });
      return true;
    }
    case Fault::kPartition:
      return Cut(&Any(), true, true);
    case Fault::kPartitionOut:
      return Cut(&Any(), true, false);
    case Fault::kPartitionIn:
      return Cut(&Any(), false, true);
    case Fault::kPartitionLeader:
      return Cut(Leader(), true, random_.Chance(0.5));
    case Fault::kClogAll:
      // One after the other; each heals at a time of its own.
      for (auto& machine : c_.machines) {
        BreakLater(For(absl::ZeroDuration(), Seconds(2)),
                   [this_cluster = &c_, machine = machine.get()] {
                     Injector(*this_cluster).Cut(machine, true, true);
                   });
      }
      return true;
    case Fault::kSlowLink: {
      Link& link = Any().link();
      link.Slow(For(Milliseconds(20), Milliseconds(800)));
      Later(while_, [&link] { link.Slow(absl::ZeroDuration()); });
      return true;
    }
    case Fault::kDelayWatches:
      c_.store_faults.watch_delay = For(Milliseconds(50), Seconds(5));
      Later(while_, [&c = c_] { c.store_faults.watch_delay = absl::ZeroDuration(); });
      return true;
    case Fault::kSendTwice:
      return During(c_.store_faults.send_twice, 0.5, while_);
    case Fault::kLoseAnswers:
      return During(c_.store_faults.lose_answer, 0.3, while_);
    case Fault::kCommitLate:
      return During(c_.store_faults.commit_late, 0.3, while_);
    case Fault::kCompact:
      c_.etcd->Compact();
      return true;
    case Fault::kElectLeader:
      c_.etcd->ElectLeader();
      return true;
    case Fault::kLeasesLate:
      c_.etcd->SetLeaseDelay(For(Seconds(1), Seconds(10)));
      Later(2 * while_, [&c = c_] { c.etcd->SetLeaseDelay(absl::ZeroDuration()); });
      return true;
    case Fault::kLeasesRevoked:
      c_.etcd->RevokeSome([this] { return random_.Chance(0.4); });
      return true;
    case Fault::kDeposedLeader:
      c_.etcd->SetDeposed(true);
      Later(For(Seconds(1), 2 * c_.ttl), [&c = c_] { c.etcd->SetDeposed(false); });
      return true;
    case Fault::kEtcdDown:
      return EtcdDown(For(Milliseconds(100), Seconds(30)));
    case Fault::kEtcdDownLong:
      return EtcdDown(For(Minutes(1), Minutes(30)));
    case Fault::kEtcdRestored:
      return RestoreLater();
    case Fault::kClockRate: {
      Machine& machine = Any();
      machine.clock().SetRate(c_.queue.now(), 0.99 + 0.02 * random_.Real());
      return true;
    }
    case Fault::kClockJump:
      Any().clock().wall_offset = For(-Minutes(60), Minutes(60));
      return true;
    case Fault::kBusLost: {
      Os& os = Any().os();
      os.SetBusDown(true);
      Later(while_, [&os] { os.SetBusDown(false); });
      return true;
    }
    case Fault::kUnitStopped:
      return ToUnit(&Os::StopByHand);
    case Fault::kUnitStarted:
      return ToUnit(&Os::StartByHand);
    case Fault::kUnitMasked: {
      if (!ToUnit(&Os::Mask)) return false;
      Later(while_, [&c = c_] {
        for (auto& machine : c.machines) machine->os().UnmaskAll();
      });
      return true;
    }
    case Fault::kUnitEdited:
      return ToUnit(&Os::Edit);
    case Fault::kUnitCrashed:
      return ToUnit(&Os::Crash);
    case Fault::kJobsHang: {
      Os& os = Any().os();
      os.makes_jobs_hang = true;
      Later(while_, [&os] { os.makes_jobs_hang = false; });
      return true;
    }
    case Fault::kDiskFull: {
      Os& os = Any().os();
      os.disk_full = true;
      Later(while_, [&os] { os.disk_full = false; });
      return true;
    }
    case Fault::kMassLoss:
      return LoseSome([this](const Machine&) { return random_.Chance(0.3); });
    case Fault::kZoneLoss: {
      const std::string zone(1, "abc"[random_.Below(3)]);
      return LoseSome(
          [&](const Machine& machine) { return machine.options().metadata.at("zone") == zone; });
    }
    case Fault::kFlapping:
      return Flap();
    case Fault::kDuplicateId:
      return AddDuplicate();
    case Fault::kMixedVersions:
      c_.user->UseNewerVersion(true);
      c_.user->SetMetadata();
      Later(while_, [&c = c_] { c.user->UseNewerVersion(false); });
      return Downgrade(while_);
    case Fault::kPoison:
      c_.user->Poison();
      return true;
    case Fault::kCount:
      break;
  }
  return false;
}

}  // namespace

std::string_view NameOf(Fault fault) { return kKinds[static_cast<size_t>(fault)].name; }
int WeightOf(Fault fault) { return kKinds[static_cast<size_t>(fault)].weight; }

bool Inject(Cluster& cluster, Fault fault) {
  cluster.Trace(fmt::format("fault: {}", NameOf(fault)));
  return Injector(cluster).Inject(fault);
}

namespace {

constexpr int kKeeperTurns = 60;

// A fleetd that is about to leave, or has left, is started again once it is gone.
void KeepRunning(Cluster& cluster, int turns) {
  for (auto& machine : cluster.machines) machine->StartFleetd();
  if (turns > 0) {
    cluster.queue.After(Milliseconds(100), [&cluster, turns] { KeepRunning(cluster, turns - 1); });
  }
}

}  // namespace

void HealAll(Cluster& cluster) {
  cluster.Trace("all is well again");
  cluster.calm = true;
  StoreFaults& faults = cluster.store_faults;
  faults.lose_answer = faults.send_twice = faults.commit_late = faults.kill_at_commit = 0;
  faults.watch_delay = absl::ZeroDuration();
  cluster.etcd->SetDown(false);
  cluster.etcd->SetDeposed(false);
  cluster.etcd->SetLeaseDelay(absl::ZeroDuration());
  cluster.user->UseNewerVersion(false);
  for (auto& machine : cluster.duplicates) machine->LosePower();
  for (auto& machine : cluster.machines) {
    Os& os = machine->os();
    os.kill_at_write = 0;
    os.disk_full = os.makes_jobs_hang = false;
    os.UnmaskAll();
    os.SetBusDown(false);
    machine->link().Slow(absl::ZeroDuration());
    machine->link().Heal();
    machine->clock().SetRate(cluster.queue.now(), 1);
    machine->clock().wall_offset = absl::ZeroDuration();
    machine->Boot(/*wipe=*/false);
    machine->ResumeFleetd();
    machine->SetVersion(KnownFeatures());
    os.stays_calm = true;
  }
  KeepRunning(cluster, kKeeperTurns);
}

}  // namespace fleet::sim
