#pragma once

// The machines by slot, with the indexes that a choice intersects: metadata value → machines,
// load → machines, present, schedulable.
//
// Slots up to a limit are in the order of machine ids, so that "the first" is the tie-break; new
// machines get slots behind it, until there are enough of them to renumber all. Renumbering also
// drops machines that are absent and empty.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/requirements.h"
#include "scheduler/scheduler.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

class MachineIndex {
 public:
  std::optional<Slot> Find(std::string_view id) const;
  // The slot of a machine; an absent machine is made if there is none.
  Slot FindOrAdd(std::string_view id);

  void Set(Slot slot, const Machine& machine);  // makes it present
  void Remove(Slot slot);                       // makes it absent
  void ChangeLoad(Slot slot, int by);

  const std::string& id(Slot slot) const { return slots_[slot].id; }
  uint32_t load(Slot slot) const { return slots_[slot].load; }
  bool is_present(Slot slot) const { return present_.Test(slot); }
  bool is_schedulable(Slot slot) const { return schedulable_.Test(slot); }
  const Bits& present() const { return present_; }
  const Bits& schedulable() const { return schedulable_; }  // those present that take newcomers

  // Present machines where `key` has one of `values`.
  Bits WithMetadata(const std::string& key, const std::set<std::string>& values) const;
  bool HasMetadata(Slot slot, const std::string& key, const std::set<std::string>& values) const;

  // The first by load, then id. `among` has present machines only.
  std::optional<Slot> LeastLoaded(const Bits& among) const;
  bool IsBefore(Slot a, uint32_t load_of_a, Slot b, uint32_t load_of_b) const;
  // In the order of their ids.
  std::vector<Slot> InOrder(const Bits& slots) const;

  bool NeedsRenumbering() const;
  // The new number of each slot; kDropped for those that are no more.
  static constexpr Slot kDropped = UINT32_MAX;
  std::vector<Slot> Renumber();

 private:
  struct Entry {
    std::string id;
    std::map<std::string, std::string> metadata;  // empty while absent
    uint32_t load = 0;
  };
  using ByValue = absl::flat_hash_map<std::string, SlotSet>;

  std::optional<Slot> FirstInOrder(const SlotSet& set, const Bits& among) const;

  std::vector<Entry> slots_;
  size_t sorted_ = 0;  // so many slots from the first are in the order of their ids
  absl::flat_hash_map<std::string, Slot> by_id_;
  absl::flat_hash_map<std::string, ByValue> by_metadata_;
  std::map<uint32_t, SlotSet> by_load_;  // present ones only
  Bits present_;
  Bits schedulable_;
};

}  // namespace fleet::scheduler
