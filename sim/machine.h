#pragma once

// A simulated machine: an operating system, its link to etcd, its clocks, and fleetd on it, which
// is the real one's Member on simulated loops, stores and systemd.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fleetd/member.h"
#include "model/features.h"
#include "reconcile/engine_settings.h"
#include "sim/link.h"
#include "sim/os.h"
#include "sim/process.h"
#include "sim/sim_store.h"

namespace fleet::sim {

struct MachineOptions {
  std::string name;  // of the Os; unlike the id it is this machine's alone
  std::string id;
  std::map<std::string, std::string> metadata;
  int64_t milli_cores = 4000;
  int64_t memory_bytes = int64_t{8} << 30;
  bool has_engine = true;
  absl::Duration agent_ttl;
  absl::Duration engine_ttl;
  reconcile::EngineSettings engine;
  absl::Duration sweep_interval;
};

class Machine {
 public:
  Machine(const StoreWorld* world, MachineOptions options, RunObserver* observer);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Power. Booting starts fleetd. `wipe`: with an emptied disk.
  void Boot(bool wipe);
  void LosePower();
  bool on() const { return os_.on(); }

  // fleetd. One that was killed is started again by systemd after a moment.
  void StartFleetd();
  void KillFleetd();
  void PauseFleetd();
  void ResumeFleetd();
  bool runs() const { return member_ != nullptr; }
  bool paused() const { return process_ != nullptr && process_->paused(); }
  // Restarts fleetd as a version that knows these features, or starts it so the next time.
  void SetVersion(std::vector<std::string> features);
  // `leaves`: a stop job: its units stop and it leaves. Otherwise a restart.
  void StopFleetd(bool leaves);
  bool leaves() const { return leaves_; }
  bool leads() const { return member_ != nullptr && member_->Leads(); }

  Os& os() { return os_; }
  const Os& os() const { return os_; }
  Link& link() { return link_; }
  Clock& clock() { return clock_; }
  const MachineOptions& options() const { return options_; }

 private:
  void OnKilled();
  void Close();

  const StoreWorld* const world_;
  const MachineOptions options_;
  Os os_;
  Link link_;
  Clock clock_;
  std::vector<std::string> features_ = KnownFeatures();
  std::vector<std::string> running_features_;  // of the fleetd that runs
  bool leaves_ = false;
  bool stopped_ = false;  // fleetd was stopped for good, until the next boot or start
  uint64_t starts_ = 0;

  // fleetd, while it runs.
  std::unique_ptr<Process> process_;
  std::unique_ptr<SimStore> machine_store_;
  std::unique_ptr<SimStore> lease_store_;
  std::unique_ptr<SimStore> engine_store_;
  std::unique_ptr<host::Systemd> systemd_;
  std::unique_ptr<host::UnitDirectory> units_;
  std::unique_ptr<host::Journal> journal_;
  std::unique_ptr<agent::ContentCache> contents_;
  std::unique_ptr<host::Guard> guard_;
  std::unique_ptr<fleetd::Member> member_;
};

}  // namespace fleet::sim
