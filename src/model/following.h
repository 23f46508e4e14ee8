#pragma once

// MachineOf and CollocateWithin make a unit follow others: it is placed where they are, after them.
// A circle of such units could never be placed. Pure.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet {

enum class FollowsBy { kMachineOf, kCollocateWithin };

struct Followed {
  std::string unit;
  FollowsBy by = FollowsBy::kMachineOf;
  bool operator==(const Followed&) const = default;
};

// Each unit that these requirements name once, by MachineOf if by both.
std::vector<Followed> UnitsFollowed(const Requirements& requirements);

// Whether `unit` may follow `followed`. `others` gives what another unit follows, empty if that is
// nothing or it does not exist. INVALID_ARGUMENT if following them leads back to a unit on the way,
// with the keys and the circle: "a.service -> b.service -> a.service". Calls `others` once for each
// unit that can be reached.
absl::Status CheckFollowingEnds(
    const std::string& unit, const std::vector<Followed>& followed,
    absl::FunctionRef<std::vector<Followed>(const std::string&)> others);

// The same of a text that is to be stored, with the requirements that it has under `name`. A
// template is read as one of its instances. `text_of` gives what another unit has for its text,
// null if it does not exist or that is not known.
absl::Status CheckFollows(
    const UnitName& name, const Requirements& requirements,
    absl::FunctionRef<std::shared_ptr<const UnitFile>(const std::string&)> text_of);

}  // namespace fleet
