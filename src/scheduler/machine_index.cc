#include "scheduler/machine_index.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fleet::scheduler {

std::optional<Slot> MachineIndex::Find(std::string_view id) const {
  auto found = by_id_.find(absl::string_view(id.data(), id.size()));
  if (found == by_id_.end()) return std::nullopt;
  return found->second;
}

Slot MachineIndex::FindOrAdd(std::string_view id) {
  if (const auto found = Find(id)) return *found;
  const auto slot = static_cast<Slot>(slots_.size());
  slots_.push_back({.id = std::string(id)});
  by_id_.emplace(slots_.back().id, slot);
  return slot;
}

void MachineIndex::Set(Slot slot, const Machine& machine) {
  if (is_present(slot)) Remove(slot);
  Entry& entry = slots_[slot];
  entry.metadata = machine.metadata;
  for (const auto& [key, value] : entry.metadata) by_metadata_[key][value].Insert(slot);
  by_load_[entry.load].Insert(slot);
  present_.Set(slot);
  if (machine.schedulable) schedulable_.Set(slot);
}

void MachineIndex::Remove(Slot slot) {
  if (!is_present(slot)) return;
  Entry& entry = slots_[slot];
  for (const auto& [key, value] : entry.metadata) {
    auto of_key = by_metadata_.find(key);
    auto of_value = of_key->second.find(value);
    of_value->second.Erase(slot);
    if (of_value->second.empty()) of_key->second.erase(of_value);
    if (of_key->second.empty()) by_metadata_.erase(of_key);
  }
  entry.metadata.clear();
  auto bucket = by_load_.find(entry.load);
  bucket->second.Erase(slot);
  if (bucket->second.empty()) by_load_.erase(bucket);
  present_.Clear(slot);
  schedulable_.Clear(slot);
}

void MachineIndex::ChangeLoad(Slot slot, int by) {
  Entry& entry = slots_[slot];
  const uint32_t before = entry.load;
  entry.load = static_cast<uint32_t>(static_cast<int64_t>(before) + by);
  if (!is_present(slot)) return;
  auto bucket = by_load_.find(before);
  bucket->second.Erase(slot);
  if (bucket->second.empty()) by_load_.erase(bucket);
  by_load_[entry.load].Insert(slot);
}

Bits MachineIndex::WithMetadata(const std::string& key, const std::set<std::string>& values) const {
  Bits slots;
  auto of_key = by_metadata_.find(key);
  if (of_key == by_metadata_.end()) return slots;
  for (const std::string& value : values) {
    auto of_value = of_key->second.find(value);
    if (of_value != of_key->second.end()) slots |= of_value->second;
  }
  return slots;
}

bool MachineIndex::HasMetadata(Slot slot, const std::string& key,
                               const std::set<std::string>& values) const {
  const auto& metadata = slots_[slot].metadata;
  auto found = metadata.find(key);
  return found != metadata.end() && values.contains(found->second);
}

bool MachineIndex::IsBefore(Slot a, uint32_t load_of_a, Slot b, uint32_t load_of_b) const {
  if (load_of_a != load_of_b) return load_of_a < load_of_b;
  if (a < sorted_ && b < sorted_) return a < b;
  return id(a) < id(b);
}

std::optional<Slot> MachineIndex::FirstInOrder(const SlotSet& set, const Bits& among) const {
  const auto sorted = static_cast<Slot>(sorted_);
  const auto end = static_cast<Slot>(slots_.size());
  std::optional<Slot> first = set.FirstCommon(among, 0, sorted);
  for (auto slot = set.FirstCommon(among, sorted, end); slot;
       slot = set.FirstCommon(among, *slot + 1, end)) {
    if (!first || id(*slot) < id(*first)) first = slot;
  }
  return first;
}

std::optional<Slot> MachineIndex::LeastLoaded(const Bits& among) const {
  // Few candidates are compared one by one: they may all be loaded more than most machines.
  constexpr size_t kFew = 64;
  if (among.Count() <= kFew) {
    std::optional<Slot> best;
    among.ForEach([&](Slot slot) {
      if (!best || IsBefore(slot, load(slot), *best, load(*best))) best = slot;
    });
    return best;
  }
  for (const auto& [load, slots] : by_load_) {
    if (const auto first = FirstInOrder(slots, among)) return first;
  }
  return std::nullopt;
}

std::vector<Slot> MachineIndex::InOrder(const Bits& slots) const {
  std::vector<Slot> ordered;
  slots.ForEach([&](Slot slot) { ordered.push_back(slot); });
  const auto by_id = [this](Slot a, Slot b) { return IsBefore(a, 0, b, 0); };
  const auto unsorted = std::lower_bound(ordered.begin(), ordered.end(), sorted_);
  std::sort(unsorted, ordered.end(), by_id);
  std::inplace_merge(ordered.begin(), unsorted, ordered.end(), by_id);
  return ordered;
}

bool MachineIndex::NeedsRenumbering() const {
  // Often enough that looking at the slots behind the sorted ones costs little, seldom enough that
  // renumbering does, spread over the machines that caused it.
  constexpr size_t kLeast = 64;
  return slots_.size() - sorted_ > std::max(kLeast, sorted_ / 64);
}

std::vector<Slot> MachineIndex::Renumber() {
  std::vector<Slot> kept;
  for (Slot slot = 0; slot < slots_.size(); ++slot) {
    if (is_present(slot) || load(slot) > 0) kept.push_back(slot);
  }
  std::sort(kept.begin(), kept.end(), [this](Slot a, Slot b) { return id(a) < id(b); });

  std::vector<Slot> renumbered(slots_.size(), kDropped);
  std::vector<Entry> slots;
  slots.reserve(kept.size());
  Bits present;
  Bits schedulable;
  for (const Slot old : kept) {
    const auto slot = static_cast<Slot>(slots.size());
    renumbered[old] = slot;
    if (is_present(old)) present.Set(slot);
    if (is_schedulable(old)) schedulable.Set(slot);
    slots.push_back(std::move(slots_[old]));
  }
  slots_ = std::move(slots);
  sorted_ = slots_.size();
  present_ = std::move(present);
  schedulable_ = std::move(schedulable);
  by_id_.clear();
  for (Slot slot = 0; slot < slots_.size(); ++slot) by_id_.emplace(slots_[slot].id, slot);
  for (auto& [key, by_value] : by_metadata_) {
    for (auto& [value, set] : by_value) set = set.Renumbered(renumbered);
  }
  for (auto& [load, set] : by_load_) set = set.Renumbered(renumbered);
  return renumbered;
}

}  // namespace fleet::scheduler
