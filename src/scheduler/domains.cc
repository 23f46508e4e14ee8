#include "scheduler/domains.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace fleet::scheduler {

Domain::Domain(const MachineTable* machines, const Scopes* scopes, const Metadata* metadata,
               bool by_share, ScopeId scope)
    : machines_(machines),
      scopes_(scopes),
      metadata_(metadata),
      by_share_(by_share),
      scope_(scope),
      scope_serial_(scopes->SerialOf(scope)) {
  parts_.emplace_back(machines_, by_share_);
  machines_->schedulable().ForEach([&](Slot slot) { MachineChanged(slot); });
  position_ = machines_->journal_end();
  epoch_ = machines_->epoch();
}

bool Domain::IsMember(Slot slot) const {
  return machines_->schedulable().Test(slot) &&
         std::all_of(metadata_->begin(), metadata_->end(), [&](const auto& wanted) {
           return machines_->HasMetadata(slot, wanted.first, wanted.second);
         });
}

void Domain::MachineChanged(Slot slot) {
  if (where_.size() <= slot) where_.resize(machines_->size());
  Whereabouts& where = where_[slot];
  uint32_t part = kOut;
  if (IsMember(slot)) {
    const PlaceId place = scopes_->PlaceOf(scope_, slot);
    const bool has_value = scope_ != kMachineScope && Scopes::IsOfValue(place);
    part = has_value ? static_cast<uint32_t>(Scopes::ValueOf(place) + 1) : 0;
  }
  if (part == where.part) return;
  if (where.part != kOut) parts_[where.part].Erase(where.position);
  where.part = part;
  if (part == kOut) {
    members_.Clear(slot);
    return;
  }
  members_.Set(slot);
  while (parts_.size() <= part) parts_.emplace_back(machines_, by_share_);
  where.position = parts_[part].Insert(slot);
}

void Domain::CatchUp() {
  const uint64_t end = machines_->journal_end();
  if (position_ == end) return;
  if (epoch_ != machines_->epoch() || position_ < machines_->journal_begin()) {
    for (Tournament& part : parts_) part.UpdateAll();
  } else {
    for (; position_ < end; ++position_) {
      const Slot slot = machines_->JournalAt(position_);
      if (slot >= where_.size() || where_[slot].part == kOut) continue;
      parts_[where_[slot].part].Update(where_[slot].position);
    }
  }
  position_ = end;
  epoch_ = machines_->epoch();
}

// --- the cache -----------------------------------------------------------------------------------

Domains::Entry* Domains::Find(const DomainRef& ref, ScopeId scope) {
  if (ref.serial == 0) return nullptr;
  Entry& entry = entries_[ref.index];
  const bool is_it = entry.serial == ref.serial && entry.domain->scope() == scope &&
                     entry.domain->scope_serial() == scopes_->SerialOf(scope);
  return is_it ? &entry : nullptr;
}

void Domains::Drop(Entry& entry) {
  by_name_.erase(entry.name);
  entry.serial = 0;
  entry.domain.reset();
}

// Each takes some dozens of bytes for each machine.
void Domains::DropUnused() {
  constexpr size_t kMost = 512;
  constexpr size_t kDropped = 128;
  if (by_name_.size() < kMost) return;
  std::vector<uint64_t> used;
  for (const Entry& entry : entries_) {
    if (entry.serial != 0) used.push_back(entry.used);
  }
  std::nth_element(used.begin(), used.begin() + kDropped, used.end());
  const uint64_t oldest = used[kDropped];
  for (Entry& entry : entries_) {
    if (entry.serial != 0 && entry.used < oldest) Drop(entry);
  }
}

Domains::Entry& Domains::Add(const std::string& name, const Metadata& metadata, bool by_share,
                             ScopeId scope, DomainRef& ref) {
  DropUnused();
  const auto unused = std::find_if(entries_.begin(), entries_.end(),
                                   [](const Entry& entry) { return entry.serial == 0; });
  ref.index = static_cast<uint32_t>(unused - entries_.begin());
  if (unused == entries_.end()) entries_.emplace_back();
  Entry& entry = entries_[ref.index];
  entry.serial = ref.serial = ++last_serial_;
  entry.name = name;
  entry.metadata = metadata;
  entry.domain.emplace(machines_, scopes_, &entry.metadata, by_share, scope);
  by_name_[name] = ref;
  return entry;
}

const Domain& Domains::Of(const Metadata& metadata, bool by_share, ScopeId scope, DomainRef& ref) {
  Entry* entry = Find(ref, scope);
  if (entry == nullptr) {
    std::string name =
        fmt::format("{} {}", by_share ? "share" : "weight", scopes_->SerialOf(scope));
    for (const auto& [key, values] : metadata) {
      name += '\n' + key;
      for (const std::string& value : values) name += '\t' + value;
    }
    const auto known = by_name_.find(name);
    if (known != by_name_.end()) {
      ref = known->second;
      entry = &entries_[ref.index];
    } else {
      entry = &Add(name, metadata, by_share, scope, ref);
    }
  }
  entry->used = ++clock_;
  entry->domain->CatchUp();
  return *entry->domain;
}

void Domains::MachineChanged(Slot slot) {
  for (Entry& entry : entries_) {
    if (entry.serial == 0) continue;
    if (entry.domain->scope_serial() != scopes_->SerialOf(entry.domain->scope())) {
      Drop(entry);  // of a scope that is gone
    } else {
      entry.domain->MachineChanged(slot);
    }
  }
}

}  // namespace fleet::scheduler
