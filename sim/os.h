#pragma once

// A simulated machine's operating system: its systemd with jobs that take time, fail or time out,
// its /run (which a reboot empties) and its disk. fleetd comes and goes; this stays, until the
// power is lost.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/content_cache.h"
#include "agent/identity.h"
#include "host/host.h"
#include "sim/event_queue.h"
#include "sim/process.h"
#include "sim/random.h"

namespace fleet::sim {

// What a unit does, as its ExecStart= says: "/usr/bin/sim KIND START_MS STOP_MS".
struct Behaviour {
  enum class Kind {
    kRuns,
    kFails,     // does not start
    kCrashes,   // runs, crashes now and then, and is started again by systemd
    kFinishes,  // a oneshot
  };
  Kind kind = Kind::kRuns;
  absl::Duration start = absl::Milliseconds(10);
  absl::Duration stop = absl::Milliseconds(10);

  // What it cannot read it takes for a unit that runs.
  static Behaviour Of(const std::string& text);
};

// Who is told what really runs.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void OnRunBegan(const std::string& machine, const std::string& unit,
                          const host::UnitNote& note) = 0;
  virtual void OnRunEnded(const std::string& machine, const std::string& unit) = 0;
  // Something worth a line of the trace.
  virtual void OnNote(const std::string& machine, const std::string& what) = 0;
  // fleetd has asked systemd to stop a unit that runs.
  virtual void OnStopAsked(const std::string& machine, const std::string& unit) = 0;
};

class Os {
 public:
  struct Unit {
    std::string active = "inactive";
    std::string sub = "dead";
    std::string result = "success";
    std::string loaded_text;  // as systemd read it last
    bool masked = false;
    bool by_hand = false;  // somebody else than fleet has stopped, started, masked or edited it
    uint64_t job = 0;      // the one under way
    bool job_starts = false;
    std::function<void(absl::StatusOr<std::string>)> job_done;
  };

  Os(std::string machine, EventQueue* queue, Random* random, RunObserver* observer);

  // Power.
  void Boot();
  void LosePower();
  bool on() const { return on_; }
  const std::string& boot_id() const { return boot_id_; }

  // systemd's side of the bus.
  void Start(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done);
  void Stop(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done);
  bool IsRunning(const std::string& name) const;
  host::UnitStatus StatusOf(const std::string& name) const;

  // fleet-guard, which lives as long as the machine does: at the deadline it stops these units, and
  // lets nothing start them until it has another order.
  void Guard(const host::GuardOrder& order, const Clock& clock);
  // Units that ran and that it has stopped.
  const std::set<std::string>& guarded_stops() const { return guarded_stops_; }
  void ForgetGuardedStops(const std::set<std::string>& noted);

  // What others do to units; false if there was nothing to do it to.
  bool StopByHand(const std::string& name);
  bool StartByHand(const std::string& name);
  bool Mask(const std::string& name);
  bool Edit(const std::string& name);
  bool Crash(const std::string& name);
  void UnmaskAll();

  // The state of D-Bus. While it is down calls fail and signals are lost.
  void SetBusDown(bool down);
  bool bus_down() const { return bus_down_; }

  // Who hears of changes; null if no fleetd runs.
  void SetListener(host::Systemd::Listener* listener, Process::Handle process) {
    listener_ = listener;
    process_ = std::move(process);
  }

  std::map<std::string, host::InstalledUnit> files;  // units_directory, in /run
  std::map<std::string, Unit> units;
  // The disk.
  agent::Identity identity;
  std::map<std::string, std::string> contents;  // cached texts by hash
  bool disk_full = false;
  bool makes_jobs_hang = false;  // starts run into their time-out
  bool stays_calm = false;       // units that crash now and then do so no more
  // fleetd is killed at a write of a file, with this chance.
  double kill_at_write = 0;

  const std::string& machine() const { return machine_; }
  Random& random() { return *random_; }
  EventQueue& queue() { return *queue_; }

 private:
  void SetState(const std::string& name, const char* active, const char* sub);
  void FinishJob(const std::string& name, const char* result);
  void BeginJob(Unit& unit, bool starts, std::function<void(absl::StatusOr<std::string>)> done);
  void After(absl::Duration delay, const std::string& name, uint64_t job,
             std::function<void()> task);
  void BeginStop(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done);
  void CloseGate();
  void MayCrashLater(const std::string& name, const Behaviour& behaviour);

  const std::string machine_;
  EventQueue* const queue_;
  Random* const random_;
  RunObserver* const observer_;
  std::string boot_id_;
  uint64_t boots_ = 0;
  uint64_t last_job_ = 0;
  bool on_ = false;
  bool bus_down_ = false;
  host::GuardOrder order_;
  uint64_t orders_ = 0;
  bool gate_closed_ = false;
  std::set<std::string> guarded_stops_;
  host::Systemd::Listener* listener_ = nullptr;
  Process::Handle process_;
};

// fleetd's view of it; these live as long as the process.
std::unique_ptr<host::Systemd> ConnectSystemd(Os* os, Process* process);
std::unique_ptr<host::UnitDirectory> OpenUnitDirectory(Os* os);
std::unique_ptr<host::Journal> OpenJournal();
std::unique_ptr<agent::ContentCache> OpenContentCache(Os* os);
std::unique_ptr<host::Guard> OpenGuard(Os* os, Process* process, const Clock* clock);

}  // namespace fleet::sim
