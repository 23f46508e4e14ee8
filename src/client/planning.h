#pragma once

// What the API says of why units are where they are and of what would happen (docs/api.md,
// "Explanations and plans"), as values. Members that the server leaves out are empty.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json_fwd.hpp"

namespace fleet::client {

struct RuledOut {
  std::string constraint;
  int64_t machines = 0;  // each machine under the first constraint that rules it out
  int64_t in_all = 0;    // whatever else rules them out
  int64_t alone = 0;     // that nothing else rules out
};

struct Remedy {
  std::string kind;
  std::string change;  // in words
  int64_t machines = 0;
};

// By what a machine would be chosen.
struct Score {
  std::string spread_value;  // empty: the unit is not spread
  int64_t spread = 0;        // instances of its template there
  int64_t load = 0;          // millionths of the capacity, or the sum of weights
  bool by_share = false;     // which of them
  bool runs_there = false;
};

struct Verdict {
  std::string machine_id;
  bool eligible = false;
  std::vector<std::string> ruled_out_by;
  Score score;
};

struct UnitExplanation {
  int64_t revision = 0;
  std::string unit;
  std::string state;  // "notWanted", "placed", "moving", "waiting", "global"
  std::vector<std::string> machines;
  std::string reason;
  std::vector<std::string> together;
  int64_t total = 0;  // machines there are
  std::vector<RuledOut> ruled_out;
  std::vector<Remedy> remedies;
  std::vector<std::string> conflicts;
  std::vector<std::string> notes;
  std::vector<Verdict> verdicts;  // if they were asked for
  std::string json;               // the answer as it came
};

// A unit that is still on a machine that is to be empty.
struct HeldUnit {
  std::string unit;
  std::string reason;
  bool cannot_move = false;  // it will not leave by itself
};

// How a machine is to be emptied.
struct DrainRequest {
  std::string deadline;  // a span of time, "10m"; empty: none
  bool force = false;    // what is left then is stopped; without a deadline, now
};

// How far the emptying of a machine has come.
struct Drain {
  std::string machine_id;
  int64_t revision = 0;
  bool present = true;    // a member of the cluster
  bool cordoned = false;  // it gets nothing new
  bool drained = false;   // it is to be
  // At its deadline some were left, and stay; or, if it forces, are stopped.
  bool expired = false;
  bool forces = false;
  std::string deadline;       // RFC 3339; empty: none
  std::string lock_group;     // of FleetLock, in which it asks for a slot; empty: it does not
  bool lock_granted = false;  // it has the slot, and is emptied for that
  int64_t units_left = 0;
  std::vector<HeldUnit> left;
  std::string json;  // the entity as it came
};

struct PlannedUnit {
  std::string name;
  std::optional<std::string> content;  // unset: the registered text, or its template's
  bool force = false;                  // unknown [X-Fleet] keys pass
};

// The body of POST /plan. Members that are not set are not sent.
struct PlanRequest {
  std::string verb;
  std::vector<PlannedUnit> units;
  std::string machine;
  std::optional<int64_t> count;
  std::optional<int64_t> max_moves;
};

struct PlannedChange {
  std::string change;  // "place", "move", "stop", "wait"
  std::string unit;
  std::string from;
  std::string machine;
  std::string reason;
};

struct Plan {
  int64_t revision = 0;
  std::vector<PlannedChange> changes;
  std::vector<std::string> skipped;  // by a rebalance: others changed them at the same time
  std::string json;                  // the answer as it came
};

UnitExplanation ExplanationFromJson(const nlohmann::json& json);
Drain DrainFromJson(const nlohmann::json& object);
Plan PlanFromJson(const nlohmann::json& json);
std::string ToText(const PlanRequest& request);

}  // namespace fleet::client
