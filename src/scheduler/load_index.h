#pragma once

// Machines by load, as sets: for a unit that most of the less loaded machines exclude, which a
// tournament would pass over one by one, the first level of load that has any other is found 64
// machines at a time.
//
// A level is one load, or, by share, what rounds down to the same hundredth. The index follows the
// machine table's journal when it is asked.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/machine_table.h"
#include "scheduler/slot_set.h"
#include "scheduler/tournament.h"

namespace fleet::scheduler {

class LoadIndex {
 public:
  LoadIndex(const MachineTable* machines, bool by_share)
      : machines_(machines), by_share_(by_share) {}

  // Of these machines the one with the smallest key that has room.
  std::optional<Tournament::Found> Best(const Bits& among, const Resources& need);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint64_t KeyOf(Slot slot) const {
    return by_share_ ? machines_->KeyByShare(slot) : machines_->KeyByWeight(slot);
  }
  uint32_t LevelOf(Slot slot) const;
  void CatchUp();
  void Follow(Slot slot);

  const MachineTable* machines_;
  const bool by_share_;
  absl::btree_map<uint32_t, Bits> levels_;
  std::vector<uint32_t> level_of_;  // by slot
  uint64_t position_ = 0;           // in the journal
};

}  // namespace fleet::scheduler
