// The choice among the machines that a candidate may go to.

#include <algorithm>
#include <limits>
#include <utility>

#include "scheduler/candidate.h"

namespace fleet::scheduler {

namespace {

// So many machines are looked at one by one.
constexpr size_t kFew = 16;
// So many excluded machines are passed over before all of them are looked at together.
constexpr int kPatience = 96;
// Of a key with more values, machines are looked at one by one instead of by value.
constexpr size_t kMaxValues = 256;

uint32_t LoadIn(uint64_t key) { return static_cast<uint32_t>(key >> 32); }

}  // namespace

bool Candidate::Rank::IsBetterThan(const Rank& other) const {
  if (spread != other.spread) return spread < other.spread;
  if (LoadIn(key) != LoadIn(other.key)) return LoadIn(key) < LoadIn(other.key);
  if (runs != other.runs) return runs;
  return MachineTable::OrderOf(key) < MachineTable::OrderOf(other.key);
}

bool Candidate::Filter::Allows(PlaceId place) const {
  if (place == kNowhere) return false;
  if (is_bounded && !std::binary_search(allowed.begin(), allowed.end(), place)) return false;
  return std::find(forbidden.begin(), forbidden.end(), place) == forbidden.end();
}

absl::InlinedVector<ScopeId, 2> Candidate::SpreadScopes() const {
  absl::InlinedVector<ScopeId, 2> scopes;
  for (const UnitId unit : units_) {
    const ScopeId scope = state_.units.ClassOf(unit).spread;
    if (scope == kMachineScope || !state_.units.HasFamily(unit)) continue;
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
  }
  return scopes;
}

Candidate::Counts Candidate::SpreadCounts(ScopeId scope, const Filter* filter) const {
  const std::vector<uint32_t>& members = state_.scopes.MemberCounts(scope);
  Counts sums(members.size());
  for (const UnitId unit : units_) {
    if (state_.units.ClassOf(unit).spread != scope || !state_.units.HasFamily(unit)) continue;
    const std::vector<uint32_t>& counts = state_.units.SpreadCounts(unit, scope);
    const size_t known = std::min(sums.size(), counts.size());
    for (size_t value = 0; value < known; ++value) sums[value] += counts[value];
    if (own_.empty()) continue;
    for (const UnitId own : units_) {
      if (state_.units.FamilyOf(own) != state_.units.FamilyOf(unit)) continue;
      for (const UnitTable::Placed& placed : state_.units.PlacedOf(own)) {
        const PlaceId place = state_.scopes.PlaceOf(scope, placed.slot);
        if (placed.hold == Hold::kRuns && Scopes::IsOfValue(place)) --sums[Scopes::ValueOf(place)];
      }
    }
  }
  for (size_t value = 0; value < members.size(); ++value) {
    if (members[value] == 0) sums[value] = kNoPlace;
  }
  if (filter == nullptr) return sums;
  if (filter->is_bounded) {
    for (size_t value = 0; value < members.size(); ++value) {
      if (!filter->Allows(Scopes::PlaceOfValue(value))) sums[value] = kNoPlace;
    }
  }
  for (const PlaceId place : filter->forbidden) {
    if (Scopes::IsOfValue(place)) sums[Scopes::ValueOf(place)] = kNoPlace;
  }
  return sums;
}

int64_t Candidate::SpreadOf(Slot slot) const {
  int64_t sum = 0;
  for (const ScopeId scope : SpreadScopes()) {
    const PlaceId place = state_.scopes.PlaceOf(scope, slot);
    sum += Scopes::IsOfValue(place) ? SpreadCounts(scope, nullptr)[Scopes::ValueOf(place)]
                                    : kLacksSpreadKey;
  }
  return sum;
}

Candidate::Rank Candidate::RankOf(Slot slot) const {
  const Own* own = OwnAt(slot);
  const Own nothing;
  if (own == nullptr) own = &nothing;
  const MachineTable& machines = state_.machines;
  return {.slot = slot,
          .spread = SpreadOf(slot),
          .key = by_share_ ? machines.KeyByShareWithout(slot, own->reserves)
                           : machines.KeyByWeightWithout(slot, own->weight),
          .runs = own->runs};
}

// The machines where it can be at all, if its requirements leave only a few.
std::optional<std::vector<Slot>> Candidate::FewSlots() const {
  for (const UnitId unit : units_) {
    const Requirements& requirements = *state_.units.ClassOf(unit).requirements;
    if (!requirements.machine_id.empty()) {
      const auto slot = state_.machines.Find(requirements.machine_id);
      return slot ? std::vector<Slot>{*slot} : std::vector<Slot>{};
    }
    for (const std::string& name : requirements.machine_of) {
      UnitId followed = 0;
      if (!Follows(name, &followed)) continue;
      std::vector<Slot> slots;
      if (followed == UINT32_MAX) return slots;
      for (const UnitTable::Placed& placed : state_.units.PlacedOf(followed)) {
        if (placed.hold == Hold::kRuns) slots.push_back(placed.slot);
      }
      return slots;
    }
  }
  const bool has_domain = units_.size() == 1 && state_.units.ClassOf(units_[0]).domain.serial != 0;
  if (has_domain) return std::nullopt;
  for (const auto& [key, values] : *metadata_) {
    if (state_.machines.CountWithMetadata(key, values) > kFew) continue;
    std::vector<Slot> slots;
    state_.machines.WithMetadata(key, values).ForEach([&](Slot slot) { slots.push_back(slot); });
    return slots;
  }
  return std::nullopt;
}

std::optional<Candidate::Rank> Candidate::BestOf(const std::vector<Slot>& slots,
                                                 std::optional<Slot> avoid) const {
  std::optional<Rank> best;
  if (slots.empty()) return best;
  const std::vector<Constraint> constraints = Constraints(std::nullopt);
  for (const Slot slot : slots) {
    if (slot == avoid || !Fits(constraints, slot)) continue;
    const Rank rank = RankOf(slot);
    if (!best || rank.IsBetterThan(*best)) best = rank;
  }
  return best;
}

std::optional<Candidate::Rank> Candidate::BestOfAll(std::optional<Slot> avoid) const {
  std::optional<Rank> best;
  Feasible(avoid).ForEach([&](Slot slot) {
    const Rank rank = RankOf(slot);
    if (!best || rank.IsBetterThan(*best)) best = rank;
  });
  return best;
}

Candidate::Filter& Candidate::FilterOf(ScopeId scope, Filters& filters) const {
  for (Filter& filter : filters) {
    if (filter.scope == scope) return filter;
  }
  filters.push_back({.scope = scope});
  return filters.back();
}

Candidate::Filters Candidate::ReadFilters() const {
  Filters filters;
  for (const UnitId unit : units_) {
    const UnitClass& unit_class = state_.units.ClassOf(unit);
    for (size_t i = 0; i < unit_class.collocate.size(); ++i) {
      UnitId followed = 0;
      if (!Follows(unit_class.requirements->collocate_within[i].name, &followed)) continue;
      std::vector<PlaceId> places = PlacesToCollocate(unit, i);
      std::sort(places.begin(), places.end());
      Filter& filter = FilterOf(unit_class.collocate[i], filters);
      if (filter.is_bounded) {
        std::vector<PlaceId> common;
        std::set_intersection(places.begin(), places.end(), filter.allowed.begin(),
                              filter.allowed.end(), std::back_inserter(common));
        places = std::move(common);
      }
      filter.is_bounded = true;
      filter.allowed = std::move(places);
    }
  }
  ForEachGlob([&](GlobId id, bool matching) {
    const Glob& glob = state_.units.glob(id);
    if (glob.scope == kMachineScope) return;
    const SlotSet& places = (matching ? glob.matching : glob.declaring).slots();
    if (places.empty()) return;
    Filter& filter = FilterOf(glob.scope, filters);
    places.ForEach([&](PlaceId place) {
      if (IsConflicting(id, matching, place)) filter.forbidden.push_back(place);
    });
  });
  return filters;
}

Bits Candidate::ExcludedBy(const Filters& filters, ScopeId but) const {
  Bits excluded;
  for (const Filter& filter : filters) {
    if (filter.scope == but) continue;
    if (filter.is_bounded) {
      Bits allowed;
      for (const PlaceId place : filter.allowed) {
        state_.scopes.AddMachines(filter.scope, place, allowed);
      }
      Bits out = state_.machines.present();
      out -= allowed;
      excluded |= out;
    }
    for (const PlaceId place : filter.forbidden) {
      state_.scopes.AddMachines(filter.scope, place, excluded);
    }
  }
  return excluded;
}

// By value of the scope's key: those with the fewest instances first, of equals the best machine of
// any of them; machines that lack the key come last, unless nothing is to be spread.
std::optional<Candidate::Rank> Candidate::BestInParts(const Domain& domain, const Filter* filter,
                                                      const Exclusions& exclusions,
                                                      bool spreads) const {
  int patience = kPatience;
  Tournament::Found best;
  if (domain.scope() != kMachineScope) {
    const Counts counts = SpreadCounts(domain.scope(), filter);
    int64_t fewest = kNoPlace;
    for (const int64_t count : counts) fewest = std::min(fewest, count);
    while (fewest != kNoPlace) {
      int64_t next = kNoPlace;
      for (size_t value = 0; value < counts.size(); ++value) {
        if (counts[value] > fewest) next = std::min(next, counts[value]);
        if (counts[value] != fewest || !domain.HasPart(value)) continue;
        const auto found = domain.PartOf(value).Best(exclusions, patience, best.key);
        if (found) best = *found;
      }
      if (patience == 0) return BestByLoad(domain, filter, exclusions, spreads);
      if (spreads && best.key != UINT64_MAX) return Rank{best.slot, fewest, best.key, false};
      fewest = next;
    }
  }
  Exclusions lacking = exclusions;
  Bits excluded;
  if (filter != nullptr && !domain.Rest().empty()) {
    if (exclusions.bits != nullptr) excluded = *exclusions.bits;
    excluded |= ExcludedBy({*filter}, kMachineScope);
    lacking.bits = &excluded;
  }
  const auto found = domain.Rest().Best(lacking, patience, best.key);
  if (patience == 0) return BestByLoad(domain, filter, exclusions, spreads);
  if (found) best = *found;
  if (best.key == UINT64_MAX) return std::nullopt;
  return Rank{best.slot, spreads ? kLacksSpreadKey : 0, best.key, false};
}

std::optional<Candidate::Rank> Candidate::BestByLoad(const Domain& domain, const Filter* filter,
                                                     const Exclusions& exclusions,
                                                     bool spreads) const {
  Bits eligible = domain.members();
  for (const SlotSet* set : exclusions.sets) eligible -= *set;
  if (exclusions.bits != nullptr) eligible -= *exclusions.bits;
  for (const Slot slot : exclusions.slots) eligible.Clear(slot);
  if (filter != nullptr) eligible -= ExcludedBy({*filter}, kMachineScope);
  LoadIndex& index = by_share_ ? state_.by_share : state_.by_weight;
  if (!spreads) {
    const auto found = index.Best(eligible, need_);
    if (!found) return std::nullopt;
    return Rank{found->slot, 0, found->key, false};
  }
  const ScopeId scope = domain.scope();
  const Counts counts = SpreadCounts(scope, filter);
  std::vector<int64_t> levels(counts.begin(), counts.end());
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  for (const int64_t level : levels) {
    if (level == kNoPlace) break;
    Bits there;
    for (size_t value = 0; value < counts.size(); ++value) {
      if (counts[value] == level) there |= state_.scopes.Members(scope, value);
    }
    there &= eligible;
    if (const auto found = index.Best(there, need_)) {
      return Rank{found->slot, level, found->key, false};
    }
  }
  eligible &= state_.scopes.Lacking(scope);
  const auto found = index.Best(eligible, need_);
  if (!found) return std::nullopt;
  return Rank{found->slot, kLacksSpreadKey, found->key, false};
}

// What it does not occupy itself.
std::optional<Candidate::Rank> Candidate::BestInDomain(std::optional<Slot> avoid) const {
  absl::InlinedVector<const SlotSet*, 8> sets;
  ForEachGlob([&](GlobId id, bool matching) {
    const Glob& glob = state_.units.glob(id);
    if (glob.scope != kMachineScope) return;
    const SlotSet& slots = (matching ? glob.matching : glob.declaring).slots();
    if (!slots.empty()) sets.push_back(&slots);
  });
  absl::InlinedVector<Slot, 4> slots;
  for (const Own& own : own_) slots.push_back(own.slot);
  if (avoid) slots.push_back(*avoid);
  Exclusions exclusions = {.sets = sets, .slots = slots, .need = need_};

  const Filters filters = ReadFilters();
  const auto spread = SpreadScopes();
  ScopeId scope = kMachineScope;
  if (!spread.empty()) {
    scope = spread[0];
  } else if (!filters.empty()) {
    scope = filters[0].scope;
  }
  if (spread.size() > 1 ||
      (scope != kMachineScope && state_.scopes.ValueCount(scope) > kMaxValues)) {
    return BestOfAll(avoid);
  }
  Bits excluded;
  if (filters.size() > 1 || (filters.size() == 1 && filters[0].scope != scope)) {
    excluded = ExcludedBy(filters, scope);
    exclusions.bits = &excluded;
  }
  DomainRef merged;
  DomainRef& ref = units_.size() == 1 ? state_.units.ClassOf(units_[0]).domain : merged;
  const Domain& domain = state_.domains.Of(*metadata_, by_share_, scope, ref);
  const auto filter = std::find_if(filters.begin(), filters.end(),
                                   [&](const Filter& one) { return one.scope == scope; });
  return BestInParts(domain, filter == filters.end() ? nullptr : &*filter, exclusions,
                     !spread.empty());
}

std::vector<Slot> Candidate::Ranked(std::optional<Slot> avoid) const {
  std::vector<Slot> slots;
  if (conflicts_within_itself_) return slots;
  std::vector<Rank> ranks;
  Feasible(avoid).ForEach([&](Slot slot) {
    if (slot != avoid) ranks.push_back(RankOf(slot));
  });
  std::sort(ranks.begin(), ranks.end(),
            [](const Rank& a, const Rank& b) { return a.IsBetterThan(b); });
  slots.reserve(ranks.size());
  for (const Rank& rank : ranks) slots.push_back(rank.slot);
  return slots;
}

std::optional<Slot> Candidate::Best(std::optional<Slot> avoid) const {
  if (conflicts_within_itself_) return std::nullopt;
  std::optional<Rank> best;
  if (const auto few = FewSlots()) {
    best = BestOf(*few, avoid);
  } else {
    best = BestInDomain(avoid);
    std::vector<Slot> occupied;
    for (const Own& own : own_) {
      if (state_.machines.schedulable().Test(own.slot)) occupied.push_back(own.slot);
    }
    const auto among_own = BestOf(occupied, avoid);
    if (among_own && (!best || among_own->IsBetterThan(*best))) best = among_own;
  }
  if (!best) return std::nullopt;
  return best->slot;
}

}  // namespace fleet::scheduler
