#pragma once

// This machine's record out of its configuration and what it is.

#include "fleetd/config.h"
#include "host/host.h"
#include "model/records.h"

namespace fleet::fleetd {

// `token` is the installation's. An address that listens everywhere is published as public_ip's.
// Before any thread.
MachineRecord MakeMachineRecord(const Config& config, const host::MachineFacts& facts,
                                const std::string& token);

// `record` with what a reload of the configuration changes in it: metadata, and what units may
// reserve of the machine.
MachineRecord Reconfigured(MachineRecord record, const Config& config,
                           const host::MachineFacts& facts);

}  // namespace fleet::fleetd
