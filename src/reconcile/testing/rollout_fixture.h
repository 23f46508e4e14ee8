#pragma once

// What the tests of rollouts have in common.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile::testing {

inline const char* const kTemplate = "web@.service";

inline std::string Web(int number) { return fmt::format("web@{}.service", number); }

// Instances 1 to `count` that run, of a template with these options.
class RolloutTest : public ::testing::Test {
 protected:
  void Begin(int count, const std::string& options = "") {
    if (cluster.model.records().machines.Find("m1") == nullptr) cluster.model.PutMachine("m1");
    cluster.model.PutUnit(kTemplate, Text(options), DesiredState::kInactive);
    UnitRecord record = cluster.model.Unit(kTemplate);
    record.replicas = count;
    Put(kTemplate, record);
    cluster.Settle();
  }

  void Put(const std::string& unit, const UnitRecord& record) {
    static_cast<SimulatedRegistry&>(cluster.model).PutUnit(unit, record);
  }

  // As the API does it. The new text's options; how many at once.
  void Update(const std::string& options, const std::string& max_unavailable = "",
              bool rolls_back = false) {
    const std::string before = cluster.model.Unit(kTemplate).content_hash;
    cluster.model.PutUnit(kTemplate, Text(options), DesiredState::kInactive);
    const auto* last = cluster.model.records().rollouts.Find(kTemplate);
    RolloutRecord rollout =
        RolloutOf(last == nullptr ? nullptr : &last->value, NextUid(),
                  cluster.model.Unit(kTemplate).content_hash, before, cluster.now, "update");
    rollout.max_unavailable = max_unavailable;
    rollout.rolls_back = rolls_back;
    cluster.model.PutRollout(kTemplate, rollout);
  }

  std::string NextUid() { return fmt::format("rollout {}", ++rollouts); }

  const RolloutRecord& record() const {
    return cluster.model.records().rollouts.Find(kTemplate)->value;
  }

  // Those that have this text and are told to run with it.
  std::vector<std::string> With(const std::string& hash) const {
    std::vector<std::string> units;
    for (const std::string& unit : InstancesIn(cluster.model.records(), kTemplate)) {
      if (cluster.model.Unit(unit).content_hash == hash) units.push_back(unit);
    }
    return units;
  }
  std::vector<std::string> Updated() const { return With(record().content_hash); }

  void Resume() {
    RolloutRecord resumed = record();
    resumed.state = RolloutState::kRunning;
    resumed.reason = "";
    cluster.model.PutRollout(kTemplate, resumed);
  }

  std::vector<std::string> StoppedOrMoved() const {
    std::vector<std::string> units;
    for (const EventEntry& event : cluster.events) {
      if (event.kind == "stopped" || event.kind == "moving") units.push_back(event.unit);
    }
    return units;
  }

  // The engine comes to rest without the time passing, and agents do as they are told.
  void Settle() { cluster.Settle(); }
  void Wait(absl::Duration duration) {
    cluster.now += duration;
    cluster.Settle();
  }

  // What the agent says of the run that is asked for now.
  void Report(const std::string& unit, const std::string& active_state) {
    const Assignment& assignment = *cluster.model.AssignmentOf(unit, "m1");
    cluster.model.Report("m1", unit,
                         {.uid = assignment.uid,
                          .generation = assignment.generation,
                          .content_hash = assignment.content_hash,
                          .load_state = "loaded",
                          .active_state = active_state,
                          .settled = true,
                          .result = active_state == "failed" ? "exit-code" : ""});
  }

  Cluster cluster;
  int rollouts = 0;
};

}  // namespace fleet::reconcile::testing
