#pragma once

// The records of docs/architecture.md, "What is stored", as pure values. registry/ turns them into
// protobuf and back. Each keeps the fields it does not know in `unknown`, so that rewriting a
// record of a newer version loses nothing.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "model/requirements.h"
#include "model/unit_file.h"

namespace fleet {

enum class DesiredState { kInactive, kLoaded, kLaunched };
std::string_view ToString(DesiredState state);  // "inactive", "loaded", "launched"
std::optional<DesiredState> ParseDesiredState(std::string_view text);

// Where a unit with Reschedule=on-failure has failed lately.
struct FailedPlace {
  std::string machine;
  int64_t revision = 0;  // of the registry when it failed there last: the order, not the time
  int64_t count = 0;     // how often

  bool operator==(const FailedPlace&) const = default;
};

// units/<name>
struct UnitRecord {
  std::string uid;  // new whenever the name is created
  DesiredState desired = DesiredState::kInactive;
  std::string content_hash;
  int64_t restarts = 0;  // counts restarts, and stops of what systemd started by itself
  int64_t starts = 0;    // counts the starts asked for of a unit that was started before
  std::string refusal;   // why the engine has not placed it; empty otherwise
  // Not placed yet: the machine reserved for it, where another unit is being moved away for it.
  std::string nominated_machine;
  // Placed: the machine that a rebalance moves it to as soon as the disruption budget allows; empty
  // once it is there, or may not go there.
  std::string move_to;
  std::vector<std::string> features;   // that whoever acts on this record has to know; sorted
  std::vector<FailedPlace> failed_on;  // since it last ran for long enough; at most 10
  // Of a template: instances 1 to this are kept. Absent: as many as there are.
  std::optional<int64_t> replicas;
  bool made_by_replicas = false;  // of an instance that was made because of it
  std::string rollout;            // uid of the last rollout that has reached this unit
  // Of a template: the texts that submits have replaced since its last rollout, the latest first.
  // Instances may have them still.
  std::vector<std::string> former_hashes;
  std::string unknown;

  bool operator==(const UnitRecord&) const = default;
};

// contents/<sha256>
struct Content {
  std::shared_ptr<const UnitFile> file;  // never null
};

// settings/<machine>
struct MachineSettings {
  std::map<std::string, std::string> set_metadata;
  std::vector<std::string> removed_metadata;  // sorted
  // The operator's word that the machine is gone for good; the engine acts on it and clears it.
  bool forgotten = false;
  bool cordoned = false;  // it gets nothing new
  // Its units are to move away, and nothing new comes; global units stop, too.
  bool drained = false;
  // When the drain ends, whatever is left; InfiniteFuture: never. By the clock of the engine.
  absl::Time drain_deadline = absl::InfiniteFuture();
  // What is left at the deadline is stopped, whatever holds it; otherwise it stays.
  bool drain_forces = false;
  bool drain_expired = false;  // the engine found something left at the deadline
  // FleetLock: the group in which it has asked for a slot, to reboot; empty if it has not.
  std::string lock_group;
  bool lock_granted = false;  // it has the slot, and is drained for it
  // When it has asked first, and last (to the minute), by the clock of the API that was asked.
  // InfinitePast: not said, by an older version.
  absl::Time lock_since = absl::InfinitePast();
  absl::Time lock_repeated = absl::InfinitePast();
  std::string unknown;

  // Whether newcomers are kept away.
  bool IsClosed() const { return cordoned || drained || lock_granted; }
  // Whether what is there has to leave.
  bool IsEmptied() const { return (drained && (!drain_expired || drain_forces)) || lock_granted; }
  // Whether it has to leave whatever holds it.
  bool IsForced() const { return drained && drain_expired && drain_forces; }
  void Drain(absl::Time deadline, bool forces) {
    drained = true;
    drain_deadline = deadline;
    drain_forces = forces;
    drain_expired = false;
  }
  // The slot, or the request for one.
  void GiveBackSlot() {
    lock_group.clear();
    lock_granted = false;
    lock_since = lock_repeated = absl::InfinitePast();
  }
  // Uncordoned: it takes units again, whatever kept them away.
  void Open() {
    cordoned = drained = drain_forces = drain_expired = false;
    drain_deadline = absl::InfiniteFuture();
    GiveBackSlot();
  }

  bool operator==(const MachineSettings&) const = default;
};

enum class AssignmentState { kLoaded, kLaunched, kGone };
std::string_view ToString(AssignmentState state);

// assignments/<machine>/<name>
struct Assignment {
  std::string uid;
  int64_t generation = 0;
  std::string content_hash;
  AssignmentState state = AssignmentState::kLoaded;
  int64_t restarts = 0;      // of the unit record this generation answers
  int64_t starts = 0;        // the same
  std::string next_machine;  // of a tombstone: the target reserved for the unit
  std::string unknown;

  bool operator==(const Assignment&) const = default;
};

// machines/<machine>; lives as long as the agent's lease
struct MachineRecord {
  std::string address;  // public_ip
  std::string hostname;
  std::map<std::string, std::string> metadata;  // of its configuration
  int64_t milli_cores = 0;   // what units may reserve: of the machine or its configuration, less
  int64_t memory_bytes = 0;  // reserved_cpu and reserved_memory
  std::string version;
  std::string boot_id;
  std::string token;     // of the installation, tells two machines with one id apart
  bool leaving = false;  // its units are being stopped, it will not come back with this lease
  std::vector<std::string> api_endpoints;  // "http://10.0.0.1:49153"
  std::string systemd_user;                // whose systemd runs the units; empty: the machine's own
  int64_t ttl_millis = 0;                  // that its lease was granted; 0: not said
  std::vector<std::string> features;       // of records that it knows; sorted
  std::string lock_id;  // under which its updater asks FleetLock, where that is not its own id
  std::string unknown;

  bool operator==(const MachineRecord&) const = default;
};

// states/<machine>/<name>; same lease
struct StateReport {
  std::string uid;
  int64_t generation = 0;
  std::string content_hash;
  std::string load_state;    // as systemd says: "loaded", "not-found" …
  std::string active_state;  // "active", "inactive", "failed", "activating" …
  std::string sub_state;     // "running", "dead" …
  bool gone = false;         // this (uid, generation) has stopped and is removed from the machine
  bool settled = false;      // the agent has done what the assignment asks (load, start, stop)
  std::string result;        // systemd's Result when it failed: "exit-code", or the agent's error
  std::string log_tail;      // the last lines of the journal when it failed to start; at most 4 KiB
  std::string drift;         // what somebody else did to it: "stopped by hand"; empty otherwise
  std::string unknown;

  bool operator==(const StateReport&) const = default;
};

// leader
struct LeaderRecord {
  std::string machine;
  std::string epoch;
  std::string unknown;

  bool operator==(const LeaderRecord&) const = default;
};

// cluster/hold: there while so many machines are missing that no unit is moved off them.
struct HoldRecord {
  std::string reason;
  bool released = false;  // by the operator's word; the engine deletes the record then
  std::string unknown;

  bool operator==(const HoldRecord&) const = default;
};

// cluster/id
struct ClusterIdRecord {
  // Random; by the first engine that leads, and anew by one that sees the registry restored.
  std::string id;
  std::string unknown;

  bool operator==(const ClusterIdRecord&) const = default;
};

// cluster/features
struct FeaturesRecord {
  std::vector<std::string> enabled;  // record features that all machines have known; sorted
  std::string unknown;

  bool operator==(const FeaturesRecord&) const = default;
};

enum class RolloutState { kRunning, kPaused, kDone, kFailed };
std::string_view ToString(RolloutState state);  // "running", "paused", "done", "failed"

// A text that a template or unit has had.
struct FormerContent {
  std::string content_hash;
  absl::Time since;
  std::string how;  // "update", "undo", "roll-back"

  bool operator==(const FormerContent&) const = default;
};

// rollouts/<name>: the last rolling update or restart of a template's instances, or of a unit.
struct RolloutRecord {
  std::string uid;  // random; units that it has reached have it in their records
  RolloutState state = RolloutState::kRunning;
  bool restarts = false;               // it restarts them; otherwise it brings them content_hash
  std::string content_hash;            // the text it brings
  std::string former_hash;             // the one before
  std::string max_unavailable;         // a number or percent; empty: as the units say
  bool rolls_back = false;             // when a unit fails; otherwise it pauses
  std::string reason;                  // why it is paused or has failed
  std::vector<FormerContent> history;  // the latest first, at most 10
  // The names of one rollout of several, this one's too: their records have the same uid, unless
  // another rollout has taken one since. Sorted; empty: it is alone.
  std::vector<std::string> together;
  std::string unknown;

  bool operator==(const RolloutRecord&) const = default;
};

// One thing that happened, within events/<epoch>/<seq>.
struct EventEntry {
  std::string kind;  // "placed", "moved", "stopped", "refused", "lost", "adopted", …
  std::string unit;
  std::string machine;
  std::string reason;

  bool operator==(const EventEntry&) const = default;
};

struct EventRecord {
  absl::Time time;
  std::vector<EventEntry> entries;
};

}  // namespace fleet
