#pragma once

// Which entities of the API a change of the registry's records touches: a unit's entity is made of
// its record, its assignments, its states and the presence of machines. Pure.

#include <compare>
#include <cstdint>
#include <set>
#include <string>

#include "model/cluster_view.h"

namespace fleet::api {

struct Touched {
  enum class Kind : uint8_t { kUnit, kState, kMachine };
  Kind kind = Kind::kUnit;
  std::string unit;     // of units and states
  std::string machine;  // of states and machines
  auto operator<=>(const Touched&) const = default;
};

struct TouchedSet {
  std::set<Touched> entities;
  std::set<std::string> flipped;  // machines that came or went: what is assigned to them is touched
};

// Adds what the step from `before` to change.view touches. Of a reset, compares the views.
void AddTouched(TouchedSet& touched, const ClusterView& before, const ViewChange& change);

// Turns `flipped` into the units assigned there; looks at all assignments if there are any.
void ExpandFlipped(TouchedSet& touched, const ClusterView& view);

// Everything that differs between two views.
std::set<Touched> Difference(const ClusterView& before, const ClusterView& after);

}  // namespace fleet::api
