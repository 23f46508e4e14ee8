#pragma once

namespace fleet::log {

// Drops every line from now on: for programs that run fleetd's code thousands of times.
void Mute();

}  // namespace fleet::log
