#include "scheduler/slot_set.h"

#include <algorithm>

namespace fleet::scheduler {

void Bits::Set(Slot slot) {
  if (slot / 64 >= words_.size()) words_.resize(slot / 64 + 1);
  words_[slot / 64] |= uint64_t{1} << (slot % 64);
}

void Bits::Clear(Slot slot) {
  if (slot / 64 < words_.size()) words_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
}

size_t Bits::Count() const {
  size_t count = 0;
  for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
  return count;
}

bool Bits::Empty() const {
  return std::all_of(words_.begin(), words_.end(), [](uint64_t word) { return word == 0; });
}

Bits& Bits::operator&=(const Bits& other) {
  if (words_.size() > other.words_.size()) words_.resize(other.words_.size());
  for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  return *this;
}

Bits& Bits::operator|=(const Bits& other) {
  if (words_.size() < other.words_.size()) words_.resize(other.words_.size());
  for (size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
  return *this;
}

Bits& Bits::operator-=(const Bits& other) {
  const size_t common = std::min(words_.size(), other.words_.size());
  for (size_t i = 0; i < common; ++i) words_[i] &= ~other.words_[i];
  return *this;
}

Bits& Bits::operator&=(const SlotSet& other) {
  if (other.is_dense_) return *this &= other.dense_;
  Bits common;
  for (const Slot slot : other.sparse_) {
    if (Test(slot)) common.Set(slot);
  }
  return *this = std::move(common);
}

Bits& Bits::operator|=(const SlotSet& other) {
  if (other.is_dense_) return *this |= other.dense_;
  for (const Slot slot : other.sparse_) Set(slot);
  return *this;
}

Bits& Bits::operator-=(const SlotSet& other) {
  if (other.is_dense_) return *this -= other.dense_;
  for (const Slot slot : other.sparse_) Clear(slot);
  return *this;
}

void SlotSet::Insert(Slot slot) {
  if (Contains(slot)) return;
  ++size_;
  if (is_dense_) {
    dense_.Set(slot);
    return;
  }
  sparse_.insert(std::lower_bound(sparse_.begin(), sparse_.end(), slot), slot);
  if (size_ <= kMaxSparse) return;
  for (const Slot member : sparse_) dense_.Set(member);
  sparse_ = {};
  is_dense_ = true;
}

void SlotSet::Erase(Slot slot) {
  if (!Contains(slot)) return;
  --size_;
  if (!is_dense_) {
    sparse_.erase(std::lower_bound(sparse_.begin(), sparse_.end(), slot));
    return;
  }
  dense_.Clear(slot);
  if (size_ >= kMinDense) return;
  dense_.ForEach([&](Slot member) { sparse_.push_back(member); });
  dense_ = {};
  is_dense_ = false;
}

bool SlotSet::Contains(Slot slot) const {
  return is_dense_ ? dense_.Test(slot) : std::binary_search(sparse_.begin(), sparse_.end(), slot);
}

void SlotCounts::Increment(Slot slot) {
  if (!slots_.Contains(slot)) {
    slots_.Insert(slot);
    return;
  }
  auto [entry, added] = repeated_.try_emplace(slot, 1);
  ++entry->second;
}

void SlotCounts::Decrement(Slot slot) {
  auto entry = repeated_.find(slot);
  if (entry == repeated_.end()) {
    slots_.Erase(slot);
  } else if (--entry->second == 1) {
    repeated_.erase(entry);
  }
}

uint32_t SlotCounts::At(Slot slot) const {
  if (!slots_.Contains(slot)) return 0;
  auto entry = repeated_.find(slot);
  return entry == repeated_.end() ? 1 : entry->second;
}

}  // namespace fleet::scheduler
