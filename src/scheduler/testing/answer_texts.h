#pragma once

// Answers of a scheduler as lines, to be compared.

#include <set>
#include <string>
#include <vector>

#include "scheduler/explanation.h"

namespace fleet::scheduler {

std::vector<std::string> Texts(const std::vector<Verdict>& verdicts);

// All of an explanation.
std::vector<std::string> Texts(const Explanation& explanation);

// What counts of constraints, without the units of a conflict, of which only some are named.
std::multiset<std::string> WithoutUnits(const std::vector<RuledOut>& constraints);

}  // namespace fleet::scheduler
