#pragma once

// Clusters and what happens to them, made up from a tape of bytes: the same tape, the same story.
// A shorter tape, or one of smaller bytes, is a simpler story, so that a failure can be shrunk.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/scheduler.h"
#include "scheduler/testing/naive.h"

namespace fleet::scheduler {

class Tape {
 public:
  explicit Tape(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}

  bool AtEnd() const { return at_ >= bytes_.size(); }
  // 0 … n-1; 0 behind the end. REQUIRES: 0 < n ≤ 65536.
  size_t Below(size_t n) {
    size_t value = 0;
    for (size_t range = 1; range < n && !AtEnd(); range *= 256) value = value * 256 + bytes_[at_++];
    return value % n;
  }
  bool OneIn(size_t n) { return Below(n) == n - 1; }
  template <typename T>
  const T& Of(const std::vector<T>& values) {
    return values[Below(values.size())];
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

// Of the bytes that this seed gives.
Tape TapeOf(uint32_t seed, size_t length);

// Tells the scheduler and the naive one the same.
class Both {
 public:
  explicit Both(Placement placement)
      : placement_(placement), scheduler(placement), naive(placement) {}

  void SetMachine(const Machine& machine);
  void RemoveMachine(const std::string& id);
  void SetUnit(const std::string& name, const RequirementsPtr& requirements);
  void RemoveUnit(const std::string& name);
  void Place(const std::string& unit, const std::string& machine, Hold hold);
  void Unplace(const std::string& unit, const std::string& machine);

  UnitId IdOf(const std::string& unit) const { return *scheduler.FindUnit(unit); }
  std::vector<UnitId> IdsOf(std::span<const std::string> units) const;
  std::vector<std::string> NamesOf(std::span<const UnitId> units) const;
  std::vector<std::string> MachineNamesOf(std::span<const Slot> machines) const;
  std::optional<std::string> NameOf(std::optional<Slot> machine) const;
  std::optional<std::string> Choose(const std::string& unit) const;

  Placement placement() const { return placement_; }
  const std::vector<Machine>& machines() const { return machines_; }  // present ones

  // All that was told, as steps of a golden case.
  const std::string& story() const { return story_; }
  // Chooses as the engine would, and notes it if the two do not agree.
  std::optional<std::string> ChooseBoth(const std::string& unit);
  const std::vector<std::string>& mismatches() const { return mismatches_; }

  // A scheduler that was told only the state as it is, in another order.
  Scheduler Rebuilt() const;

 private:
  Placement placement_;
  std::vector<Machine> machines_;
  std::string story_;
  std::vector<std::string> mismatches_;

 public:
  Scheduler scheduler;
  Naive naive;
};

// The kinds of things that a random story is about.
struct World {
  std::vector<std::string> units;
  std::vector<std::string> machines;
  std::vector<std::string> zones;
  size_t capacity = 8;      // the most that a machine has of each resource
  size_t one_reserves = 3;  // of so many units
};
World SmallWorld();    // a handful of machines, units often in each other's way
World CrowdedWorld();  // the same, with hardly any room
World LargeWorld();    // several hundred machines, in no order

Machine AnyMachine(Tape& tape, const World& world, std::string id);
RequirementsPtr AnyRequirements(Tape& tape, const World& world);
// A machine, a unit or a place comes, changes or goes, or a unit is started where it is best.
void HappenOnce(Tape& tape, const World& world, Both& both);
// All units of the world are known (and all its machines present, if `with_machines`), then the
// tape is played to its end.
Both Story(Tape tape, const World& world, bool with_machines = false);
// Some of the units, without a global one; each once. Empty if there are none.
std::vector<std::string> AnyGroup(Tape& tape, const Both& both);
// Each unit alone, and so many groups that are not empty.
std::vector<std::vector<std::string>> UnitsAndGroups(Tape& tape, const Both& both, int groups);

}  // namespace fleet::scheduler
