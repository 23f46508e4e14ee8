#pragma once

// Which machines are not there, since when, and from when on that counts. Pure: it is told the
// time.
//
// A record's absence is noticed in a view, which has no time; it begins with the first Advance()
// after that, which is later and so errs on the safe side.

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "model/records.h"
#include "reconcile/engine_settings.h"

namespace fleet::reconcile {

class Absences {
 public:
  explicit Absences(const EngineSettings& settings) : settings_(settings) {}

  // What a view says about a machine; null: it has no record. True if it has come or gone.
  bool Note(const std::string& machine, const MachineRecord* record);

  // What is absent now counts from now on. `with_units`: machines that units are assigned to.
  void BeginLeading(absl::Time now, const std::set<std::string>& with_units);
  void Advance(absl::Time now);

  // The following are about machines that are not there.
  //
  // Since when this engine, leading, has known that; for one it has never seen: since it leads.
  absl::Time Since(const std::string& machine) const;
  // From when on the machine is lost: a moment after its lease has ended, in which it may have
  // joined again; one TTL after the take-over for one that this engine has never seen.
  absl::Time LostAt(const std::string& machine) const;
  // From when on it must have stopped what it ran with OnIsolation=stop.
  absl::Time MustHaveStoppedAt(const std::string& machine) const;
  // It has left the cluster: all its units were stopped, unless it says otherwise.
  bool HasLeft(const std::string& machine) const;
  // Those that have gone since `time` without leaving; what was absent at a take-over had, if it
  // had units.
  std::vector<std::string> MissingSince(absl::Time time) const;

  // Machines that are there, have lost their lease three times within ten minutes, and have not
  // been there for five minutes since: they get nothing new while there are others. Sorted.
  std::vector<std::string> Unsteady(absl::Time now) const;
  // When the first of them is steady again.
  absl::Time NextSteady(absl::Time now) const;

  // One that is not there, and that nothing is assigned to, is forgotten after a while (C3).
  void Forget(const std::string& machine, absl::Time now);
  std::vector<std::string> Absent() const;

 private:
  struct Seen {
    bool is_there = false;
    bool is_leaving = false;
    bool is_known = true;     // it has been there
    bool is_missing = false;  // it has gone lately, or was absent with units at the take-over
    absl::Duration ttl;       // granted to its lease, as far as is known
    absl::Time since = absl::InfiniteFuture();  // it has come or gone: begins with Advance()
    std::deque<absl::Time> losses;              // of its lease, the last three
  };

  absl::Time SteadyAt(const Seen& seen) const;
  absl::Duration LongestTtl(const Seen* seen) const;

  const EngineSettings settings_;
  absl::flat_hash_map<std::string, Seen> seen_;  // in some view that this engine has had
  std::vector<std::string> beginning_;           // come or gone, without a time yet
  std::set<std::string> often_lost_;             // three losses are known of them
  absl::Time leading_since_ = absl::InfinitePast();
};

}  // namespace fleet::reconcile
