#pragma once

namespace fleet::fleetctl {

// Takes the place of standard streams that are closed, so that nothing opened later is one of them:
// what is printed would be sent to the cluster. Reading finds the end; writing to the standard
// output fails, and what is said on stderr is lost.
void FillStandardStreams();

}  // namespace fleet::fleetctl
