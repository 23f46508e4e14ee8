#include "scheduler/tournament.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace fleet::scheduler {

Tournament::Position Tournament::Insert(Slot slot) {
  Position position = 0;
  if (free_.empty()) {
    position = static_cast<Position>(slots_.size());
    slots_.push_back(slot);
  } else {
    position = free_.back();
    free_.pop_back();
    slots_[position] = slot;
  }
  if (position / kBlock < leaves_) {
    Update(position);
  } else {
    UpdateAll();
  }
  return position;
}

void Tournament::Erase(Position position) {
  slots_[position] = kNobody;
  free_.push_back(position);
  Update(position);
}

void Tournament::ReadBlock(size_t block) {
  Node node;
  Room room;
  const size_t end = std::min(slots_.size(), (block + 1) * kBlock);
  for (size_t position = block * kBlock; position < end; ++position) {
    const Slot slot = slots_[position];
    if (slot == kNobody) continue;
    const uint64_t key = KeyOf(slot);
    if (key < node.key) node = {key, slot};
    if (!by_share_) continue;
    room.cores = std::max(room.cores, machines_->FreeCores(slot));
    room.memory = std::max(room.memory, machines_->FreeMemory(slot));
  }
  nodes_[leaves_ + block] = node;
  if (by_share_) rooms_[leaves_ + block] = room;
}

bool Tournament::Combine(size_t at) {
  const Node& left = nodes_[2 * at];
  const Node& right = nodes_[2 * at + 1];
  const Node& better = right.key < left.key ? right : left;
  bool changed = nodes_[at].key != better.key || nodes_[at].slot != better.slot;
  nodes_[at] = better;
  if (!by_share_) return changed;
  const Room room = {std::max(rooms_[2 * at].cores, rooms_[2 * at + 1].cores),
                     std::max(rooms_[2 * at].memory, rooms_[2 * at + 1].memory)};
  changed = changed || room.cores != rooms_[at].cores || room.memory != rooms_[at].memory;
  rooms_[at] = room;
  return changed;
}

void Tournament::Update(Position position) {
  const size_t block = position / kBlock;
  ReadBlock(block);
  for (size_t node = (leaves_ + block) / 2; node > 0 && Combine(node); node /= 2) {
  }
}

void Tournament::UpdateAll() {
  const size_t blocks = (slots_.size() + kBlock - 1) / kBlock;
  if (blocks > leaves_) {
    leaves_ = std::bit_ceil(blocks);
    nodes_.assign(2 * leaves_, {});
    if (by_share_) rooms_.assign(2 * leaves_, {});
  }
  for (size_t block = 0; block < blocks; ++block) ReadBlock(block);
  for (size_t node = leaves_; node-- > 1;) Combine(node);
}

bool Tournament::IsExcluded(Slot slot, const Exclusions& exclusions, int& patience) const {
  const Resources& need = exclusions.need;
  const auto is_excluded = [&] {
    if (need.milli_cores > 0 && need.milli_cores > machines_->FreeCores(slot)) return true;
    if (need.memory > 0 && need.memory > machines_->FreeMemory(slot)) return true;
    for (const Slot excluded : exclusions.slots) {
      if (excluded == slot) return true;
    }
    if (exclusions.bits != nullptr && exclusions.bits->Test(slot)) return true;
    for (const SlotSet* set : exclusions.sets) {
      if (set->Contains(slot)) return true;
    }
    return false;
  };
  if (!is_excluded()) return false;
  if (patience > 0) --patience;
  return true;
}

std::optional<Tournament::Found> Tournament::Best(const Exclusions& exclusions, int& patience,
                                                  uint64_t limit) const {
  if (leaves_ == 0 || nodes_[1].key >= limit) return std::nullopt;
  // A node knows the most that is free of each resource; of what is not needed anything will do.
  Resources need = exclusions.need;
  if (need.milli_cores <= 0) need.milli_cores = std::numeric_limits<int64_t>::min();
  if (need.memory <= 0) need.memory = std::numeric_limits<int64_t>::min();
  Found best = {.key = limit};
  std::array<size_t, 8 * sizeof(size_t)> waiting;  // one for each level at most
  size_t count = 0;
  waiting[count++] = 1;
  while (count > 0 && patience > 0) {
    size_t node = waiting[--count];
    while (nodes_[node].key < best.key && MayFit(node, need)) {
      // Its best one is the answer for all below it, if nothing is against it.
      if (!IsExcluded(nodes_[node].slot, exclusions, patience)) {
        best = {nodes_[node].key, nodes_[node].slot};
        break;
      }
      if (node >= leaves_) {
        const size_t first = (node - leaves_) * kBlock;
        const size_t end = std::min(slots_.size(), first + kBlock);
        for (size_t position = first; position < end; ++position) {
          const Slot slot = slots_[position];
          if (slot == kNobody) continue;
          const uint64_t key = KeyOf(slot);
          if (key < best.key && !IsExcluded(slot, exclusions, patience)) best = {key, slot};
        }
        break;
      }
      // The better half at once, the other one later.
      const size_t better =
          nodes_[2 * node + 1].key < nodes_[2 * node].key ? 2 * node + 1 : 2 * node;
      waiting[count++] = better ^ 1;
      node = better;
    }
  }
  if (best.key == limit) return std::nullopt;
  return best;
}

}  // namespace fleet::scheduler
