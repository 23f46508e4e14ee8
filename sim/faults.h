#pragma once

// What goes wrong in a simulated run. Each fault begins, lasts, and is over; HealAll() ends
// whatever lasts.

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/time/time.h"

namespace fleet::sim {

class Cluster;

enum class Fault {
  kKillFleetd,
  kKillAtCommit,
  kKillAtFile,
  kPauseFleetd,
  kPauseLeader,
  kPowerLoss,
  kPowerLossWiped,
  kReboot,
  kRestartFleetd,
  kLeave,
  kPartition,
  kPartitionOut,
  kPartitionIn,
  kPartitionLeader,
  kClogAll,
  kSlowLink,
  kDelayWatches,
  kSendTwice,
  kLoseAnswers,
  kCommitLate,
  kCompact,
  kElectLeader,
  kLeasesLate,
  kLeasesRevoked,
  kDeposedLeader,
  kEtcdDown,
  kEtcdDownLong,
  kEtcdRestored,
  kClockRate,
  kClockJump,
  kBusLost,
  kUnitStopped,
  kUnitStarted,
  kUnitMasked,
  kUnitEdited,
  kUnitCrashed,
  kJobsHang,
  kDiskFull,
  kMassLoss,
  kZoneLoss,
  kFlapping,
  kDuplicateId,
  kMixedVersions,
  kPoison,
  kCount,
};
inline constexpr size_t kFaultKinds = static_cast<size_t>(Fault::kCount);
using FaultCounts = std::array<uint64_t, kFaultKinds>;

std::string_view NameOf(Fault fault);

// Begins a fault, and sees to its end. False if there was nothing to break.
bool Inject(Cluster& cluster, Fault fault);

// How likely each is, in proportion.
int WeightOf(Fault fault);

// All that lasts is over: power, networks, etcd, clocks and disks are well, every fleetd runs.
void HealAll(Cluster& cluster);

}  // namespace fleet::sim
