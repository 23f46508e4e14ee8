#pragma once

// A store whose requests are counted and timed for /metrics.

#include <memory>
#include <string_view>

#include "base/executor.h"
#include "base/metrics.h"
#include "store/store.h"

namespace fleet::store {

struct StoreMetrics {
  explicit StoreMetrics(metrics::Registry& registry);

  // kind: range, commit, lease_grant, keep_alive, lease_revoke, watch (the end of one that failed).
  // result: ok, conflict (a compare of the transaction did not hold), or the error's code.
  metrics::Family<metrics::Counter>& requests;
  metrics::Family<metrics::Histogram>& durations;  // kind
};

// `executor`: the one that `store` is bound to, whose clock is read. It and `metrics` outlive the
// result and its handles.
std::unique_ptr<Store> MeterStore(std::unique_ptr<Store> store, Executor* executor,
                                  StoreMetrics* metrics);

}  // namespace fleet::store
