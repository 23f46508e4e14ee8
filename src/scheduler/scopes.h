#pragma once

// Scopes: the metadata keys by whose values units keep apart, stay together or spread, and the
// machine itself, which is the smallest scope. A scope divides the present machines into *places*:
// those with the same value of the key are one; a machine that lacks the key is one of its own.
//
// Places have numbers, so that what is counted by machine and by zone is counted in the same way.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/machine_table.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

using ScopeId = uint32_t;
inline constexpr ScopeId kMachineScope = 0;  // places are slots, of absent machines too

using PlaceId = uint32_t;
inline constexpr PlaceId kNowhere = UINT32_MAX;  // of absent machines, where the scope is a key's

class Scopes {
 public:
  explicit Scopes(const MachineTable* machines) : machines_(machines), scopes_(1) {}

  // The scope of a key, which stays until it has been released as often as it was acquired.
  ScopeId Acquire(const std::string& key);
  // True if it is gone. REQUIRES: nothing is counted in it any more.
  bool Release(ScopeId scope);
  std::vector<ScopeId> All() const;  // those of keys
  // Tells a scope from one that had its number before.
  uint64_t SerialOf(ScopeId scope) const { return scopes_[scope].serial; }

  const std::string& KeyOf(ScopeId scope) const { return scopes_[scope].key; }
  PlaceId PlaceOf(ScopeId scope, Slot slot) const {
    if (scope == kMachineScope) return slot;
    const auto& places = scopes_[scope].places;
    return slot < places.size() ? places[slot] : kNowhere;
  }
  // What PlaceOf() should say by the machine's metadata; Move() makes it say so.
  PlaceId FindOrAddPlace(ScopeId scope, Slot slot);
  void Move(ScopeId scope, Slot slot, PlaceId to);

  // Places of a key's scope are those of its values, or of single machines that lack the key.
  static bool IsOfValue(PlaceId place) { return place != kNowhere && place % 2 == 0; }
  static Slot MachineOf(PlaceId place) { return place / 2; }  // REQUIRES: !IsOfValue(place)
  static size_t ValueOf(PlaceId place) { return place / 2; }  // REQUIRES: IsOfValue(place)
  static PlaceId PlaceOfValue(size_t value) { return static_cast<PlaceId>(value * 2); }

  size_t ValueCount(ScopeId scope) const { return scopes_[scope].values.size(); }
  // How many machines have each value.
  const std::vector<uint32_t>& MemberCounts(ScopeId scope) const {
    return scopes_[scope].member_counts;
  }
  // Of a value that no machine has any more: nobody.
  const SlotSet& Members(ScopeId scope, size_t value) const {
    return scopes_[scope].values[value].members;
  }
  const std::string& ValueText(ScopeId scope, size_t value) const {
    return scopes_[scope].values[value].text;
  }
  // Adds the machines of a place to `slots`.
  void AddMachines(ScopeId scope, PlaceId place, Bits& slots) const;
  // Present machines that lack the key.
  Bits Lacking(ScopeId scope) const;

 private:
  struct Value {
    std::string text;
    SlotSet members;
  };
  struct Scope {
    std::string key;
    size_t acquired = 0;
    uint64_t serial = 0;
    std::vector<PlaceId> places;  // by slot
    std::deque<Value> values;
    std::vector<uint32_t> member_counts;
    std::vector<size_t> free;  // values without members, in no order
    absl::flat_hash_map<std::string, size_t> by_text;
  };

  const MachineTable* machines_;
  std::deque<Scope> scopes_;
  std::vector<ScopeId> free_;
  uint64_t last_serial_ = 0;
  absl::flat_hash_map<std::string, ScopeId> by_key_;
};

}  // namespace fleet::scheduler
