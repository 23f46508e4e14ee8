#pragma once

// What etcd and gRPC report, in the terms of store.h.

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace fleet::store::etcd {

// The error of a unary call or a stream. `what` was tried ("committing a transaction"), at `url`.
absl::Status FromGrpc(const grpc::Status& status, std::string_view what, std::string_view url);

// The same of a request that may have taken effect: UNAVAILABLE becomes DEADLINE_EXCEEDED.
absl::Status OutcomeUnknown(const absl::Status& status);

// Another member may do better: this one has no leader, is stopping, or cut off from the others.
bool IsMemberTrouble(const grpc::Status& status);

// etcd refused before it did anything.
bool IsRefusedUnseen(const grpc::Status& status);

// The token is unknown or outdated; logging in again helps.
bool IsTokenTrouble(const grpc::Status& status);

}  // namespace fleet::store::etcd
