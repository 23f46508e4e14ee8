#include "scheduler/machine_table.h"

#include <algorithm>
#include <limits>

namespace fleet::scheduler {

namespace {

int64_t ShareOf(int64_t reserved, int64_t capacity) {
  if (reserved <= 0) return 0;
  if (capacity <= 0) return kWholeShare;
  if (reserved >= capacity * 2) return 2 * kWholeShare;
  // Below this the product fits; above, a part in a million of the capacity is still many bytes.
  constexpr int64_t kMaxExact = std::numeric_limits<int64_t>::max() / kWholeShare / 2;
  if (capacity <= kMaxExact) return reserved * kWholeShare / capacity;
  return reserved / (capacity / kWholeShare);
}

}  // namespace

int64_t ShareOf(const Resources& reserved, const Resources& capacity) {
  return std::max(ShareOf(reserved.milli_cores, capacity.milli_cores),
                  ShareOf(reserved.memory, capacity.memory));
}

std::optional<Slot> MachineTable::Find(std::string_view id) const {
  const auto found = by_id_.find(absl::string_view(id.data(), id.size()));
  if (found == by_id_.end()) return std::nullopt;
  return found->second;
}

Slot MachineTable::NewSlot() {
  // A caller may hold the number of a machine that it is about to place something on: those that
  // have become idle lately are left alone.
  constexpr size_t kLeftAlone = 256;
  while (idle_.size() > kLeftAlone) {
    const Slot slot = idle_.front();
    idle_.pop_front();
    entries_[slot].is_listed_idle = false;
    if (present_.Test(slot) || entries_[slot].occupants > 0) continue;
    by_id_.erase(entries_[slot].id);
    entries_[slot] = {};
    return slot;
  }
  const auto slot = static_cast<Slot>(entries_.size());
  entries_.emplace_back();
  key_by_weight_.push_back(0);
  key_by_share_.push_back(0);
  free_cores_.push_back(0);
  free_memory_.push_back(0);
  order_.push_back(0);
  return slot;
}

Slot MachineTable::FindOrAdd(std::string_view id) {
  if (const auto found = Find(id)) return *found;
  const Slot slot = NewSlot();
  entries_[slot].id = std::string(id);
  by_id_.emplace(entries_[slot].id, slot);
  PutInOrder(slot);
  if (slot < ordered_slots_) ordered_slots_ = slot;  // it was another machine's
  if (slot == ordered_slots_ && (slot == 0 || IsBefore(slot - 1, slot))) ++ordered_slots_;
  Update(slot);
  NoteIfIdle(slot);
  return slot;
}

// Gives it a number between those of its neighbours by id.
void MachineTable::PutInOrder(Slot slot) {
  constexpr uint64_t kEnd = uint64_t{1} << 32;
  constexpr uint64_t kStep = uint64_t{1} << 16;
  const auto at = by_id_.find(entries_[slot].id);
  const uint64_t before = at == by_id_.begin() ? 0 : order_[std::prev(at)->second];
  const bool is_last = std::next(at) == by_id_.end();
  const uint64_t after = is_last ? kEnd : order_[std::next(at)->second];
  if (after - before < 2) {
    NumberAnew();
    return;
  }
  const uint64_t middle = before + (after - before) / 2;
  order_[slot] = static_cast<uint32_t>(is_last ? std::min(before + kStep, middle) : middle);
}

void MachineTable::NumberAnew() {
  const uint64_t step = (uint64_t{1} << 32) / (by_id_.size() + 1);
  uint64_t number = 0;
  for (const auto& [id, slot] : by_id_) {
    number += step;
    order_[slot] = static_cast<uint32_t>(number);
  }
  ++epoch_;
  for (const auto& [id, slot] : by_id_) Update(slot);
}

uint64_t MachineTable::Key(Slot slot, int64_t load) const {
  constexpr int64_t kMaxLoad = 0xfffffffe;  // so that no key is the largest number
  load = std::clamp(load, int64_t{0}, kMaxLoad);
  if (placement_ == Placement::kPack) load = kMaxLoad - load;
  return static_cast<uint64_t>(load) << 32 | order_[slot];
}

int64_t MachineTable::LoadOf(uint64_t key) const {
  const auto load = static_cast<int64_t>(key >> 32);
  return placement_ == Placement::kPack ? 0xfffffffe - load : load;
}

void MachineTable::Update(Slot slot) {
  const Entry& entry = entries_[slot];
  key_by_weight_[slot] = Key(slot, entry.weight);
  key_by_share_[slot] = Key(slot, ShareOf(entry.reserved, entry.capacity));
  free_cores_[slot] = entry.capacity.milli_cores - entry.reserved.milli_cores;
  free_memory_[slot] = entry.capacity.memory - entry.reserved.memory;
  journal_[journal_end_++ % kJournal] = slot;
}

uint64_t MachineTable::KeyByWeightWithout(Slot slot, int64_t weight) const {
  return Key(slot, entries_[slot].weight - weight);
}

uint64_t MachineTable::KeyByShareWithout(Slot slot, const Resources& reserves) const {
  const Entry& entry = entries_[slot];
  return Key(slot, ShareOf({entry.reserved.milli_cores - reserves.milli_cores,
                            entry.reserved.memory - reserves.memory},
                           entry.capacity));
}

void MachineTable::NoteIfIdle(Slot slot) {
  Entry& entry = entries_[slot];
  if (entry.occupants > 0 || present_.Test(slot) || entry.is_listed_idle) return;
  entry.is_listed_idle = true;
  idle_.push_back(slot);
}

void MachineTable::Set(Slot slot, const Machine& machine) {
  Remove(slot);
  Entry& entry = entries_[slot];
  entry.metadata = machine.metadata;
  for (const auto& [key, value] : entry.metadata) by_metadata_[key][value].Insert(slot);
  entry.capacity = machine.capacity;
  present_.Set(slot);
  ++present_count_;
  if (machine.schedulable) schedulable_.Set(slot);
  Update(slot);
}

void MachineTable::Remove(Slot slot) {
  if (!present_.Test(slot)) return;
  Entry& entry = entries_[slot];
  for (const auto& [key, value] : entry.metadata) {
    const auto of_key = by_metadata_.find(key);
    const auto of_value = of_key->second.find(value);
    of_value->second.Erase(slot);
    if (of_value->second.empty()) of_key->second.erase(of_value);
    if (of_key->second.empty()) by_metadata_.erase(of_key);
  }
  entry.metadata.clear();
  present_.Clear(slot);
  --present_count_;
  schedulable_.Clear(slot);
  NoteIfIdle(slot);
  Update(slot);
}

void MachineTable::Occupy(Slot slot, int by, int64_t weight, const Resources& reserves) {
  Entry& entry = entries_[slot];
  entry.occupants = static_cast<size_t>(static_cast<int64_t>(entry.occupants) + by);
  entry.weight += by * weight;
  entry.reserved.milli_cores += by * reserves.milli_cores;
  entry.reserved.memory += by * reserves.memory;
  NoteIfIdle(slot);
  Update(slot);
}

Bits MachineTable::WithMetadata(const std::string& key, const std::set<std::string>& values) const {
  Bits slots;
  const auto of_key = by_metadata_.find(key);
  if (of_key == by_metadata_.end()) return slots;
  for (const std::string& value : values) {
    const auto of_value = of_key->second.find(value);
    if (of_value != of_key->second.end()) slots |= of_value->second;
  }
  return slots;
}

size_t MachineTable::CountWithMetadata(const std::string& key,
                                       const std::set<std::string>& values) const {
  size_t count = 0;
  const auto of_key = by_metadata_.find(key);
  if (of_key == by_metadata_.end()) return count;
  for (const std::string& value : values) {
    const auto of_value = of_key->second.find(value);
    if (of_value != of_key->second.end()) count += of_value->second.size();
  }
  return count;
}

bool MachineTable::HasMetadata(Slot slot, const std::string& key,
                               const std::set<std::string>& values) const {
  const auto& metadata = entries_[slot].metadata;
  const auto found = metadata.find(key);
  return found != metadata.end() && values.contains(found->second);
}

std::vector<Slot> MachineTable::InOrder(const Bits& slots) const {
  std::vector<Slot> ordered;
  slots.ForEach([&](Slot slot) { ordered.push_back(slot); });
  std::sort(ordered.begin(), ordered.end(), [this](Slot a, Slot b) { return IsBefore(a, b); });
  return ordered;
}

}  // namespace fleet::scheduler
