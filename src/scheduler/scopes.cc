#include "scheduler/scopes.h"

#include <utility>

namespace fleet::scheduler {

ScopeId Scopes::Acquire(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    ++scopes_[found->second].acquired;
    return found->second;
  }
  auto id = static_cast<ScopeId>(scopes_.size());
  if (free_.empty()) {
    scopes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Scope& scope = scopes_[id];
  scope.key = key;
  scope.acquired = 1;
  scope.serial = ++last_serial_;
  by_key_.emplace(key, id);
  for (Slot slot = 0; slot < machines_->size(); ++slot) {
    Move(id, slot, FindOrAddPlace(id, slot));
  }
  return id;
}

bool Scopes::Release(ScopeId id) {
  Scope& scope = scopes_[id];
  if (--scope.acquired > 0) return false;
  by_key_.erase(scope.key);
  scope = {};
  free_.push_back(id);
  return true;
}

std::vector<ScopeId> Scopes::All() const {
  std::vector<ScopeId> all;
  for (ScopeId id = kMachineScope + 1; id < scopes_.size(); ++id) {
    if (scopes_[id].acquired > 0) all.push_back(id);
  }
  return all;
}

PlaceId Scopes::FindOrAddPlace(ScopeId id, Slot slot) {
  Scope& scope = scopes_[id];
  if (!machines_->present().Test(slot)) return kNowhere;
  const auto& metadata = machines_->metadata(slot);
  const auto found = metadata.find(scope.key);
  if (found == metadata.end()) return slot * 2 + 1;
  const auto known = scope.by_text.find(found->second);
  if (known != scope.by_text.end()) return PlaceOfValue(known->second);
  size_t value = scope.values.size();
  if (scope.free.empty()) {
    scope.values.emplace_back();
    scope.member_counts.push_back(0);
  } else {
    value = scope.free.back();
    scope.free.pop_back();
  }
  scope.values[value].text = found->second;
  scope.by_text.emplace(found->second, value);
  return PlaceOfValue(value);
}

void Scopes::Move(ScopeId id, Slot slot, PlaceId to) {
  Scope& scope = scopes_[id];
  if (scope.places.size() <= slot) scope.places.resize(slot + 1, kNowhere);
  const PlaceId from = std::exchange(scope.places[slot], to);
  if (from == to) return;
  if (IsOfValue(to)) {
    scope.values[ValueOf(to)].members.Insert(slot);
    ++scope.member_counts[ValueOf(to)];
  }
  if (!IsOfValue(from)) return;
  Value& value = scope.values[ValueOf(from)];
  value.members.Erase(slot);
  --scope.member_counts[ValueOf(from)];
  if (!value.members.empty()) return;
  scope.by_text.erase(value.text);
  scope.free.push_back(ValueOf(from));
  value = {};
}

void Scopes::AddMachines(ScopeId id, PlaceId place, Bits& slots) const {
  if (id == kMachineScope) {
    slots.Set(place);
  } else if (IsOfValue(place)) {
    slots |= Members(id, ValueOf(place));
  } else {
    slots.Set(MachineOf(place));
  }
}

Bits Scopes::Lacking(ScopeId id) const {
  Bits lacking = machines_->present();
  for (const Value& value : scopes_[id].values) lacking -= value.members;
  return lacking;
}

}  // namespace fleet::scheduler
