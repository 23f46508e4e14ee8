#pragma once

// Whether a text may become a unit's, by what else is registered. Pure.

#include "absl/status/statusor.h"
#include "model/cluster_view.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet::reconcile {

// What the text asks for. INVALID_ARGUMENT, naming the unit, if that cannot be read, or if it would
// follow other units (MachineOf, CollocateWithin) in a circle.
absl::StatusOr<Requirements> CheckText(const ClusterView& view, const UnitName& name,
                                       const UnitFile& file);

}  // namespace fleet::reconcile
