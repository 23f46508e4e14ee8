#pragma once

// Decides when units have reached what was asked for. Pure: it is fed with what the API says and
// with the time, and gives outcomes. Fed only with what is at least as new as the request.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "client/entities.h"

namespace fleet::fleetctl {

enum class Goal {
  kLaunched,
  kLoaded,
  kInactive,
  kDestroyed,
  kMoved,    // it has its desired state on another machine
  kSettled,  // it has its desired state, wherever that is
};
std::string_view ToString(Goal goal);  // "launched", "inactive", "moved", "settled" …

struct Outcome {
  enum class Kind {
    kDone,
    kGlobal,      // is not waited for
    kFailed,      // `reason`, `log_tail`
    kWaiting,     // no eligible machine: `reason`
    kVanished,    // destroyed by someone else
    kRedirected,  // someone else wants another state: `reason` is that state
    kStayed,      // it is not moved to where it was to go: it is on `machine_id`
    kTimedOut,    // `reason` says how far it got
  };
  std::string name;
  Kind kind = Kind::kDone;
  std::string machine_id;
  std::string reason;
  std::string log_tail;
  std::string desired;  // of kDone: the desired state that it has
};

// What keeps a unit that is under way from getting there. It is waited for nevertheless.
struct Delay {
  std::string name;
  std::string machine_id;  // empty: none
  std::string reason;
};

class Waiter {
 public:
  // A unit counts as started when it has not failed this long after its job has ended.
  static constexpr absl::Duration kWindow = absl::Milliseconds(100);
  // What keeps a unit for less than this is not told.
  static constexpr absl::Duration kPatience = absl::Seconds(1);

  // Not for kMoved.
  Waiter(Goal goal, const std::vector<std::string>& names);
  // The units are made by the cluster: one that is not there yet is still to come.
  void ExpectMaking() { are_to_come_ = true; }
  // For kMoved: where each unit is to be, by its name.
  explicit Waiter(const std::map<std::string, std::string>& moves);

  // A complete picture of the units (states: for kDestroyed), which replaces what was known.
  void OnSnapshot(const std::vector<client::Unit>& units,
                  const std::vector<client::UnitState>& states, absl::Time now);
  void OnUnit(const client::Unit& unit, absl::Time now);
  void OnUnitRemoved(const std::string& name, absl::Time now);
  void OnState(const client::UnitState& state);
  void OnStateRemoved(const std::string& name, const std::string& machine_id, absl::Time now);
  void OnTime(absl::Time now);
  // Everything that is not done has timed out.
  void OnTimeout();

  // The outcomes since the last call, in the order they came about.
  std::vector<Outcome> TakeOutcomes();
  // What keeps units, each reason once, since the last call.
  std::vector<Delay> TakeDelays();
  bool done() const { return open_ == 0; }
  // When OnTime() has something to do; InfiniteFuture if it has not.
  absl::Time next_wakeup() const { return wakeup_; }

 private:
  struct Target {
    bool closed = false;   // has an outcome that is final
    bool holding = false;  // reached, within the window
    absl::Time reached_at;
    bool reported = false;           // kDone was given; it may still fail within the batch's window
    bool present = true;             // kDestroyed: the unit is registered
    std::set<std::string> machines;  // kDestroyed: where it has a state
    std::string destination;         // kMoved
    std::string delayed_by;          // the reason that its status has, while it is under way
    absl::Time delayed_at;           // since then
    bool told_delay = false;
    client::Unit last;
  };

  void Judge(const std::string& name, Target& target, const client::Unit& unit, absl::Time now);
  void JudgePending(Target& target, absl::Time now);
  void TellDelay(const std::string& name, Target& target, absl::Time now);
  void JudgeReached(const std::string& name, Target& target, absl::Time now);
  bool IsRedirected(const client::Unit& unit) const;
  void CheckDestroyed(const std::string& name, Target& target);
  void Close(const std::string& name, Target& target, Outcome outcome);

  Goal goal_;
  std::map<std::string, Target> targets_;
  bool are_to_come_ = false;
  size_t open_ = 0;
  absl::Time wakeup_ = absl::InfiniteFuture();  // may be too early
  std::vector<Outcome> outcomes_;
  std::vector<Delay> delays_;
};

}  // namespace fleet::fleetctl
