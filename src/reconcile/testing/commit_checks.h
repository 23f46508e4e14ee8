#pragma once

// What property tests ask of the records, and of a decision before it is committed.

#include <string>
#include <vector>

#include "model/cluster_view.h"
#include "reconcile/decision.h"

namespace fleet::reconcile::testing {

// Where the unit is, with machines that are reserved for it: who is there already may stay.
std::vector<std::string> MachinesHeldBy(const ClusterView& records, const std::string& unit);

// Whether what is assigned there takes its part of the machine.
bool Occupies(const ClusterView& records, const UnitOnMachine& place, const Assignment& assignment);

// What is wrong with a decision because of the versions that there are; empty if nothing is. A
// feature is enabled when all machines know it, and stays so; and nothing comes to a machine that
// does not know what it needs.
std::string WhatVersionsForbid(const ClusterView& records, const Decision& decision);

}  // namespace fleet::reconcile::testing
