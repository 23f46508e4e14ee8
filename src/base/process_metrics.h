#pragma once

// What Prometheus' client libraries say of the process they run in, under the same names
// (process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, …).

#include "base/metrics.h"

namespace fleet::metrics {

// Read from /proc(5) now; what cannot be read is left out.
void WriteProcess(TextWriter& text);

}  // namespace fleet::metrics
