#pragma once

// Memory that a start needs and a daemon does not.

namespace fleet::fleetd {

// Gives back free heap, and takes the pages of program and libraries that no one has written to out
// of this process's resident set: relocation and static constructors have touched most of them
// once. They stay in the page cache, and what is used again comes back with a minor fault.
void TrimStartupMemory();

}  // namespace fleet::fleetd
