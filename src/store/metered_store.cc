#include "store/metered_store.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/metered.h"

namespace fleet::store {
namespace {

// "deadline_exceeded"
std::string ResultOf(const absl::Status& status) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
}
template <typename T>
std::string ResultOf(const absl::StatusOr<T>& answer) {
  return ResultOf(answer.status());
}
std::string ResultOf(const absl::StatusOr<TxnResult>& answer) {
  return answer.ok() && !answer->succeeded ? "conflict" : ResultOf(answer.status());
}

class MeteredStore final : public Store {
 public:
  MeteredStore(std::unique_ptr<Store> store, Executor* executor, StoreMetrics* metrics)
      : store_(std::move(store)), executor_(executor), metrics_(metrics) {}

  void Range(RangeRequest request, Callback<RangeResult> done) override {
    store_->Range(std::move(request),
                  Metered<absl::StatusOr<RangeResult>>("range", std::move(done)));
  }
  void Commit(Txn txn, Callback<TxnResult> done) override {
    store_->Commit(std::move(txn), Metered<absl::StatusOr<TxnResult>>("commit", std::move(done)));
  }
  void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) override {
    store_->LeaseGrant(ttl,
                       Metered<absl::StatusOr<LeaseGrantResult>>("lease_grant", std::move(done)));
  }
  void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) override {
    store_->LeaseKeepAlive(lease,
                           Metered<absl::StatusOr<absl::Duration>>("keep_alive", std::move(done)));
  }
  void LeaseRevoke(LeaseId lease, DoneCallback done) override {
    store_->LeaseRevoke(lease, Metered<absl::Status>("lease_revoke", std::move(done)));
  }

  std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                    Callback<WatchBatch> on_batch) override {
    return store_->StartWatch(std::move(range), from_revision,
                              [metrics = metrics_, on_batch = std::move(on_batch)](
                                  absl::StatusOr<WatchBatch> batch) mutable {
                                if (!batch.ok()) {
                                  metrics->requests.With({"watch", ResultOf(batch)}).Add();
                                }
                                on_batch(std::move(batch));
                              });
  }

  std::unique_ptr<Store> Bind(Executor* executor) override {
    auto bound = store_->Bind(executor);
    if (bound == nullptr) return nullptr;
    return std::make_unique<MeteredStore>(std::move(bound), executor, metrics_);
  }

 private:
  // `done`, counted when it is called.
  template <typename Answer>
  absl::AnyInvocable<void(Answer)> Metered(std::string_view kind,
                                           absl::AnyInvocable<void(Answer)> done) {
    return metrics::Metered(
        metrics::Asked{metrics_->requests, metrics_->durations}, executor_, kind,
        [](const Answer& answer) { return ResultOf(answer); }, std::move(done));
  }

  std::unique_ptr<Store> store_;
  Executor* const executor_;
  StoreMetrics* const metrics_;
};

}  // namespace

StoreMetrics::StoreMetrics(metrics::Registry& registry)
    : requests(registry.Counters({"fleet_store_requests_total",
                                  "Requests to the registry's store (etcd, or the embedded one) "
                                  "that were answered, or watches that ended with an error.",
                                  {"kind", "result"}})),
      durations(registry.Histograms({"fleet_store_request_duration_seconds",
                                     "Time from a request to the store until its answer.",
                                     {"kind"}})) {}

std::unique_ptr<Store> MeterStore(std::unique_ptr<Store> store, Executor* executor,
                                  StoreMetrics* metrics) {
  return std::make_unique<MeteredStore>(std::move(store), executor, metrics);
}

}  // namespace fleet::store
