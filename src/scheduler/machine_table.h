#pragma once

// The machines by slot: what they are, what is reserved on them, and the two orders in which they
// are chosen. A slot is a machine's for as long as it is present or occupied.
//
// A machine's *key* is a number by which the best one is the smallest: its load in the upper half
// and, in the lower, its place in the order of ids. There is one by weight and one by share.
// The journal says whose keys or room have changed, for those who keep indexes of them.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "scheduler/scheduler.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

inline constexpr int64_t kWholeShare = 1'000'000;

// Millionths of the capacity that are reserved, the larger of the two resources. A resource of
// which the machine has nothing counts as full as soon as anything of it is reserved. At most
// 2 * kWholeShare: a machine may shrink below what it has promised.
int64_t ShareOf(const Resources& reserved, const Resources& capacity);

class MachineTable {
 public:
  explicit MachineTable(Placement placement) : placement_(placement) {}

  std::optional<Slot> Find(std::string_view id) const;
  Slot FindOrAdd(std::string_view id);          // absent, if it is new
  void Set(Slot slot, const Machine& machine);  // makes it present
  void Remove(Slot slot);                       // makes it absent

  // One unit more (`by` 1) or less (-1) there, with its weight and what it reserves.
  void Occupy(Slot slot, int by, int64_t weight, const Resources& reserves);

  size_t size() const { return entries_.size(); }  // slots below this may be in use
  const std::string& id(Slot slot) const { return entries_[slot].id; }
  const std::map<std::string, std::string>& metadata(Slot slot) const {
    return entries_[slot].metadata;
  }
  const Resources& capacity(Slot slot) const { return entries_[slot].capacity; }
  const Resources& reserved(Slot slot) const { return entries_[slot].reserved; }
  int64_t weight(Slot slot) const { return entries_[slot].weight; }
  const Bits& present() const { return present_; }
  const Bits& schedulable() const { return schedulable_; }  // those present that take newcomers
  size_t present_count() const { return present_count_; }

  // Present machines where `key` has one of `values`.
  Bits WithMetadata(const std::string& key, const std::set<std::string>& values) const;
  // How many those are at most.
  size_t CountWithMetadata(const std::string& key, const std::set<std::string>& values) const;
  bool HasMetadata(Slot slot, const std::string& key, const std::set<std::string>& values) const;

  uint64_t KeyByWeight(Slot slot) const { return key_by_weight_[slot]; }
  uint64_t KeyByShare(Slot slot) const { return key_by_share_[slot]; }
  // What is not reserved; below 0 if too much is.
  int64_t FreeCores(Slot slot) const { return free_cores_[slot]; }
  int64_t FreeMemory(Slot slot) const { return free_memory_[slot]; }
  // The keys as they would be if so much less were there.
  uint64_t KeyByWeightWithout(Slot slot, int64_t weight) const;
  uint64_t KeyByShareWithout(Slot slot, const Resources& reserves) const;
  // So many slots, from the first on, are in the order of their ids: all but those of machines that
  // came later.
  Slot ordered_slots() const { return ordered_slots_; }
  bool IsBefore(Slot a, Slot b) const { return order_[a] < order_[b]; }  // by id
  std::vector<Slot> InOrder(const Bits& slots) const;
  static uint32_t OrderOf(uint64_t key) { return static_cast<uint32_t>(key); }
  // The load that a key says, in the sense of Score::load.
  int64_t LoadOf(uint64_t key) const;

  // The journal: slots in the order in which they changed. Entries before journal_begin() are lost,
  // and all of them are when the order was numbered anew (`epoch`).
  uint64_t journal_begin() const { return journal_end_ < kJournal ? 0 : journal_end_ - kJournal; }
  uint64_t journal_end() const { return journal_end_; }
  Slot JournalAt(uint64_t position) const { return journal_[position % kJournal]; }
  uint64_t epoch() const { return epoch_; }

 private:
  struct Entry {
    std::string id;
    std::map<std::string, std::string> metadata;  // empty while absent
    Resources capacity;
    Resources reserved;
    int64_t weight = 0;
    size_t occupants = 0;
    bool is_listed_idle = false;
  };
  using ByValue = absl::flat_hash_map<std::string, SlotSet>;
  static constexpr size_t kJournal = 4096;

  uint64_t Key(Slot slot, int64_t load) const;
  void Update(Slot slot);
  void PutInOrder(Slot slot);
  void NumberAnew();
  Slot NewSlot();
  void NoteIfIdle(Slot slot);

  const Placement placement_;
  std::vector<Entry> entries_;
  std::vector<uint64_t> key_by_weight_;
  std::vector<uint64_t> key_by_share_;
  std::vector<int64_t> free_cores_;
  std::vector<int64_t> free_memory_;
  std::vector<uint32_t> order_;
  absl::btree_map<std::string, Slot> by_id_;
  absl::flat_hash_map<std::string, ByValue> by_metadata_;
  std::deque<Slot> idle_;  // neither present nor occupied, or they are again
  Bits present_;
  Bits schedulable_;
  size_t present_count_ = 0;
  Slot ordered_slots_ = 0;
  std::vector<Slot> journal_ = std::vector<Slot>(kJournal);
  uint64_t journal_end_ = 0;
  uint64_t epoch_ = 0;
};

}  // namespace fleet::scheduler
