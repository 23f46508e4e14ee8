#pragma once

// Sets of machines, by slot: small dense numbers that MachineIndex gives to machines. Choosing a
// machine is the intersection of such sets, 64 machines in a step.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace fleet::scheduler {

using Slot = uint32_t;

class SlotSet;

// One bit a slot; grows as bits are set, what is beyond its end is not set.
class Bits {
 public:
  void Set(Slot slot);
  void Clear(Slot slot);
  bool Test(Slot slot) const {
    return slot / 64 < words_.size() && (words_[slot / 64] >> (slot % 64) & 1) != 0;
  }
  size_t Count() const;

  Bits& operator&=(const Bits& other);
  Bits& operator|=(const Bits& other);
  Bits& operator-=(const Bits& other);
  Bits& operator&=(const SlotSet& other);
  Bits& operator|=(const SlotSet& other);
  Bits& operator-=(const SlotSet& other);

  // The first slot in [from, to) that is set here and in `other`.
  std::optional<Slot> FirstCommon(const Bits& other, Slot from, Slot to) const;

  template <typename Function>
  void ForEach(Function function) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      for (uint64_t word = words_[i]; word != 0; word &= word - 1) {
        function(static_cast<Slot>(i * 64 + static_cast<size_t>(std::countr_zero(word))));
      }
    }
  }

 private:
  std::vector<uint64_t> words_;
};

// A set that is kept as a sorted list while it is small: there may be as many sets as units.
class SlotSet {
 public:
  void Insert(Slot slot);  // nothing if it is there
  void Erase(Slot slot);   // nothing if it is not
  bool Contains(Slot slot) const;
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The first slot in [from, to) that is in this set and in `among`.
  std::optional<Slot> FirstCommon(const Bits& among, Slot from, Slot to) const;

  template <typename Function>
  void ForEach(Function function) const {
    if (is_dense_) {
      dense_.ForEach(function);
    } else {
      for (const Slot slot : sparse_) function(slot);
    }
  }

  // The same set after slot i got the number renumbered[i].
  SlotSet Renumbered(const std::vector<Slot>& renumbered) const;

 private:
  friend class Bits;
  static constexpr size_t kMaxSparse = 32;
  static constexpr size_t kMinDense = 16;  // less, so that a set at the limit does not flutter

  size_t size_ = 0;
  bool is_dense_ = false;
  std::vector<Slot> sparse_;  // sorted; empty if is_dense_
  Bits dense_;
};

// How often something is on each machine; most often it is once, and only the rest is counted.
class SlotCounts {
 public:
  void Increment(Slot slot);
  void Decrement(Slot slot);  // REQUIRES: At(slot) > 0
  uint32_t At(Slot slot) const;
  const SlotSet& slots() const { return slots_; }  // where it is at all
  SlotCounts Renumbered(const std::vector<Slot>& renumbered) const;

 private:
  SlotSet slots_;
  absl::flat_hash_map<Slot, uint32_t> repeated_;  // counts of two and more
};

}  // namespace fleet::scheduler
