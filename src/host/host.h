#pragma once

// The machine fleetd runs on, as the agent sees it: systemd, the unit directory, the journal, the
// guard.
// host/systemd/ implements it over D-Bus; the simulator and tests replace it. All of it belongs to
// the machine loop: calls and callbacks happen in that thread only, callbacks never inside the
// call.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/local_unit.h"

namespace fleet::host {

// How a job ended: "done", "canceled", "timeout", "failed", "dependency", "skipped" as systemd
// says.
using JobCallback = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
using DoneCallback = absl::AnyInvocable<void(absl::Status)>;
template <typename T>
using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;

class Systemd {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // False for a unit of no interest: its signals are dropped before they are read. ListUnits and
    // GetUnit answer about all units.
    virtual bool Watches(std::string_view /*unit*/) const { return true; }
    // A unit's state changed. For all units of this systemd, not just ours; cheap to ignore.
    virtual void OnUnitChanged(const UnitStatus& status) = 0;
    // systemd forgot the unit (unloaded it).
    virtual void OnUnitRemoved(const std::string& name) = 0;
    // A job of the unit begins, whoever asked for it.
    virtual void OnJobBegan(const std::string& /*unit*/) {}
    // One that nobody asked for here has ended, with this result. The unit's change came before.
    virtual void OnOtherJobEnded(const std::string& /*unit*/, const std::string& /*result*/) {}
    // The connection was made (again), or systemd reloaded: signals may be lost, list again.
    virtual void OnResync() = 0;
  };

  virtual ~Systemd() = default;

  // REQUIRES: called once, before anything else. The listener outlives this object.
  virtual void SetListener(Listener* listener) = 0;

  // Jobs, mode "replace"; many may be in flight. `done` has the job's result once it has ended, or
  // an error if it could not be queued (NOT_FOUND: no such unit; UNAVAILABLE: systemd not reached;
  // FAILED_PRECONDITION: masked or broken unit file, with systemd's message).
  virtual void Start(const std::string& unit, JobCallback done) = 0;
  virtual void Stop(const std::string& unit, JobCallback done) = 0;

  // OK if there is no such unit.
  virtual void ResetFailed(const std::string& unit, DoneCallback done) = 0;
  virtual void Reload(DoneCallback done) = 0;  // daemon-reload

  // Makes the links of [Install], at run time only. A reload is needed afterwards. After an error
  // some may have been made. UnitDirectory::RemoveInstallLinks() undoes it: systemd's own call
  // would also take those of the units that Also= names.
  virtual void Enable(std::vector<std::string> units, DoneCallback done) = 0;

  // All units that systemd has loaded.
  virtual void ListUnits(Callback<std::vector<UnitStatus>> done) = 0;
  // One unit, loading it if need be: load_state says whether its file is readable.
  virtual void GetUnit(const std::string& unit, Callback<UnitStatus> done) = 0;
  // True if the file on disk differs from what systemd has loaded (NeedDaemonReload).
  virtual void NeedsReload(const std::string& unit, Callback<bool> done) = 0;
  // systemd's Result property of a unit that failed ("exit-code", "timeout", "signal", …).
  virtual void GetResult(const std::string& unit, Callback<std::string> done) = 0;
};

// Unit files on this machine (`units_directory`), their notes, and the links that make systemd see
// them. Each change is atomic (temporary file, rename). Synchronous: the directory is on /run.
class UnitDirectory {
 public:
  virtual ~UnitDirectory() = default;
  // Everything installed. A note or text that cannot be read is skipped and reported in the log.
  virtual absl::StatusOr<std::vector<InstalledUnit>> List() = 0;
  // The text as it is on disk now. NOT_FOUND if there is none, UNIMPLEMENTED if it cannot differ.
  virtual absl::StatusOr<std::string> ReadText(const std::string& /*name*/) {
    return absl::UnimplementedError("texts are not read again");
  }
  // Note first, then text, then the link: a crash in between leaves something List() shows.
  virtual absl::Status Install(const InstalledUnit& unit) = 0;
  // Whether Install() would succeed now; nothing changes. With the same errors.
  virtual absl::Status CheckInstall(const InstalledUnit& unit) = 0;
  virtual absl::Status WriteNote(const std::string& name, const UnitNote& note) = 0;
  // Removes link, text and note. OK if there is none.
  virtual absl::Status Remove(const std::string& name) = 0;
  // Removes the links to these units that [Install] asked for: aliases, and those in the .wants,
  // .requires and .upholds folders of other units. systemd needs a reload afterwards.
  virtual absl::Status RemoveInstallLinks(const std::vector<std::string>& names) = 0;
};

class Journal {
 public:
  virtual ~Journal() = default;
  // The last `lines` messages of the unit's current or last invocation, one a line, at most 4 KiB.
  virtual std::string Tail(const std::string& unit, int lines) = 0;
};

// What the guard of units with OnIsolation=stop is to do, which replaces what it was told before.
struct GuardOrder {
  std::set<std::string> units;
  // When it passes and no other order has come they are stopped, and kept from being started until
  // another one comes. On the executor's clock, CLOCK_BOOTTIME.
  absl::Time deadline;
  absl::Duration stop_timeout;  // from the deadline until what still runs of them is killed
  // Units that an earlier answer named and that need not be named again.
  std::set<std::string> noted;
};

// A program of its own (fleet-guard), so that those units stop in time whether fleetd lives or not.
class Guard {
 public:
  virtual ~Guard() = default;
  // `done`: OK once the guard holds the order, with the units that ran and that it has stopped
  // since the answer that was noted last; they may be started now. UNAVAILABLE, with what to look
  // at, if it does not answer: the order before is then in force, or this one. One call at a time.
  virtual void Arm(GuardOrder order, Callback<std::set<std::string>> done) = 0;
};

// Facts of this machine that its record reports.
struct MachineFacts {
  std::string machine_id;  // content of /etc/machine-id, 32 hex digits
  std::string boot_id;
  std::string hostname;
  std::string default_address;  // of the interface with the default route, or the first one
  int64_t milli_cores = 0;
  int64_t memory_bytes = 0;
};
// Read at each call. NOT_FOUND or INVALID_ARGUMENT naming the file that is missing or broken.
absl::StatusOr<MachineFacts> ReadMachineFacts();

}  // namespace fleet::host
