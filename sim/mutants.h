#pragma once

// Broken versions of fleet. Each puts something between the real code and its store that makes the
// whole behave as if a check, a wait or a write were missing; the simulator has to notice. What is
// tampered with is what that code would read or write, so that the code itself needs no switches.

#include <memory>
#include <string>
#include <vector>

#include "sim/sim_store.h"

namespace fleet::sim {

struct Mutant {
  std::string name;
  std::string what;                     // is broken
  std::vector<std::string> invariants;  // any of which it is caught by
};

const std::vector<Mutant>& Mutants();

// Null if there is none of that name.
std::unique_ptr<Tamper> MakeMutant(const std::string& name);

}  // namespace fleet::sim
