#pragma once

// Sets of machines, by slot: small dense numbers that MachineTable gives to machines. Sets of other
// small numbers (the places of a scope, scopes.h) are the same.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace fleet::scheduler {

using Slot = uint32_t;  // a machine, as in scheduler.h

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
  bool Empty() const;

  Bits& operator&=(const Bits& other);
  Bits& operator|=(const Bits& other);
  Bits& operator-=(const Bits& other);
  Bits& operator&=(const SlotSet& other);
  Bits& operator|=(const SlotSet& other);
  Bits& operator-=(const SlotSet& other);

  // Those in both sets, in order; `function` returns from where to go on, slot + 1 or later.
  template <typename Function>
  void ForEachCommon(const Bits& other, Function function) const {
    const size_t words = words_.size() < other.words_.size() ? words_.size() : other.words_.size();
    Slot next = 0;
    for (size_t i = 0; i < words; i = i < next / 64 ? next / 64 : i + 1) {
      uint64_t word = words_[i] & other.words_[i];
      if (next / 64 == i) word &= ~uint64_t{0} << (next % 64);
      while (word != 0) {
        next = function(static_cast<Slot>(i * 64 + static_cast<size_t>(std::countr_zero(word))));
        if (next / 64 > i) break;
        word &= ~uint64_t{0} << (next % 64);
      }
    }
  }

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

  template <typename Function>
  void ForEach(Function function) const {
    if (is_dense_) {
      dense_.ForEach(function);
    } else {
      for (const Slot slot : sparse_) function(slot);
    }
  }

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

 private:
  SlotSet slots_;
  absl::flat_hash_map<Slot, uint32_t> repeated_;  // counts of two and more
};

}  // namespace fleet::scheduler
