#pragma once

// A systemd whose jobs are counted and timed for /metrics.

#include <memory>

#include "absl/time/time.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "host/host.h"

namespace fleet::host {

struct SystemdMetrics {
  explicit SystemdMetrics(metrics::Registry& registry);

  // kind: start, stop, reset_failed, reload, enable. result: how the job ended as systemd says
  // (done, failed, timeout, …; ok of what is no job), or error if it was not queued.
  metrics::Family<metrics::Counter>& jobs;
  metrics::Family<metrics::Histogram>& durations;  // kind
};

// `executor` (the machine loop) and `metrics` outlive the result.
std::unique_ptr<Systemd> MeterSystemd(std::unique_ptr<Systemd> systemd, Executor* executor,
                                      SystemdMetrics* metrics);

}  // namespace fleet::host
