#include "scheduler/load_index.h"

#include <algorithm>

namespace fleet::scheduler {

uint32_t LoadIndex::LevelOf(Slot slot) const {
  constexpr uint32_t kHundredth = kWholeShare / 100;
  const auto load = static_cast<uint32_t>(KeyOf(slot) >> 32);
  return by_share_ ? load / kHundredth : load;
}

void LoadIndex::Follow(Slot slot) {
  const uint32_t level = LevelOf(slot);
  if (level_of_[slot] == level) return;
  if (level_of_[slot] != kNone) {
    const auto before = levels_.find(level_of_[slot]);
    before->second.Clear(slot);
    if (before->second.Empty()) levels_.erase(before);
  }
  level_of_[slot] = level;
  levels_[level].Set(slot);
}

void LoadIndex::CatchUp() {
  const bool lost = position_ < machines_->journal_begin();
  level_of_.resize(machines_->size(), kNone);
  if (lost || position_ == 0) {
    for (Slot slot = 0; slot < machines_->size(); ++slot) Follow(slot);
  } else {
    for (; position_ < machines_->journal_end(); ++position_) {
      Follow(machines_->JournalAt(position_));
    }
  }
  position_ = machines_->journal_end();
}

std::optional<Tournament::Found> LoadIndex::Best(const Bits& among, const Resources& need) {
  CatchUp();
  for (const auto& [level, slots] : levels_) {
    Tournament::Found best;
    const auto consider = [&](Slot slot) {
      const bool has_room =
          (need.milli_cores <= 0 || need.milli_cores <= machines_->FreeCores(slot)) &&
          (need.memory <= 0 || need.memory <= machines_->FreeMemory(slot));
      if (has_room && KeyOf(slot) < best.key) best = {KeyOf(slot), slot};
      return has_room;
    };
    // Where all are equally loaded, the first of those that are in order is the best of them.
    slots.ForEachCommon(among, [&](Slot slot) {
      const bool fits = consider(slot);
      const bool is_decided = fits && !by_share_ && slot < machines_->ordered_slots();
      return is_decided ? std::max(slot + 1, machines_->ordered_slots()) : slot + 1;
    });
    if (best.key != UINT64_MAX) return best;
  }
  return std::nullopt;
}

}  // namespace fleet::scheduler
