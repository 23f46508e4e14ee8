#pragma once

// The best of some machines, kept up to date: machines in blocks of 8, above them a binary tree
// whose nodes know the machine with the smallest key below them and, where capacity counts, the
// most that is free. A machine that is excluded for one unit alone (it conflicts, or has no room)
// is passed over on the way.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scheduler/machine_table.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

// What excludes machines for one unit.
struct Exclusions {
  std::span<const SlotSet* const> sets;
  const Bits* bits = nullptr;   // may be null
  std::span<const Slot> slots;  // few
  Resources need;               // what has to be free, of that of which it is more than 0
};

class Tournament {
 public:
  struct Found {
    uint64_t key = UINT64_MAX;
    Slot slot = 0;
  };
  using Position = uint32_t;

  // By share: with capacity, and keys by share; otherwise keys by weight.
  Tournament(const MachineTable* machines, bool by_share)
      : machines_(machines), by_share_(by_share) {}

  bool empty() const { return leaves_ == 0 || nodes_[1].slot == kNobody; }
  Position Insert(Slot slot);
  void Erase(Position position);
  void Update(Position position);  // the machine's key or room has changed
  void UpdateAll();

  // The machine with the smallest key below `limit`. `patience` is how many may be passed over; at
  // 0 the answer means nothing.
  std::optional<Found> Best(const Exclusions& exclusions, int& patience,
                            uint64_t limit = UINT64_MAX) const;

 private:
  static constexpr size_t kBlock = 8;
  static constexpr Slot kNobody = UINT32_MAX;

  struct Node {
    uint64_t key = UINT64_MAX;
    Slot slot = kNobody;
  };
  struct Room {
    int64_t cores = INT64_MIN;
    int64_t memory = INT64_MIN;
  };

  uint64_t KeyOf(Slot slot) const {
    return by_share_ ? machines_->KeyByShare(slot) : machines_->KeyByWeight(slot);
  }
  void ReadBlock(size_t block);
  bool Combine(size_t node);  // false if nothing changed
  bool MayFit(size_t node, const Resources& need) const {
    return !by_share_ ||
           (need.milli_cores <= rooms_[node].cores && need.memory <= rooms_[node].memory);
  }
  bool IsExcluded(Slot slot, const Exclusions& exclusions, int& patience) const;

  const MachineTable* machines_;
  bool by_share_;
  std::vector<Slot> slots_;     // by position; kNobody where there is none
  std::vector<Position> free_;  // positions of nobody
  size_t leaves_ = 0;           // node 1 is the root, those from leaves_ on are blocks
  std::vector<Node> nodes_;
  std::vector<Room> rooms_;  // only if by_share_
};

}  // namespace fleet::scheduler
