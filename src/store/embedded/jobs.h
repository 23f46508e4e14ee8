#pragma once

// What an embedded store can be asked to do.

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "store/embedded/worker.h"
#include "store/store.h"

namespace fleet::store::embedded {

// Called in the worker's thread, once.
template <typename T>
using Reply = absl::AnyInvocable<void(absl::StatusOr<T>)>;

std::unique_ptr<Job> MakeRange(RangeRequest request, Reply<RangeResult> reply);
std::unique_ptr<Job> MakeCommit(Txn txn, Reply<TxnResult> reply);
std::unique_ptr<Job> MakeLeaseGrant(absl::Duration ttl, Reply<LeaseGrantResult> reply);
std::unique_ptr<Job> MakeLeaseKeepAlive(LeaseId lease, Reply<absl::Duration> reply);
std::unique_ptr<Job> MakeLeaseRevoke(LeaseId lease, absl::AnyInvocable<void(absl::Status)> reply);
std::unique_ptr<Job> MakeWatchStart(uint64_t id, KeyRange range, int64_t from_revision,
                                    Reply<WatchBatch> on_batch);
std::unique_ptr<Job> MakeWatchEnd(uint64_t id);

// The worker's own: ends the leases whose time is up; compacts up to `revision`.
std::unique_ptr<Job> MakeExpiry();
std::unique_ptr<Job> MakeCompaction(int64_t revision);

}  // namespace fleet::store::embedded
