#pragma once

// What every store refuses alike, before it does anything.

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/store.h"

namespace fleet::store {

// INVALID_ARGUMENT if there are too many compares or operations, or an empty key, or if a key is
// put twice or put and deleted.
absl::Status CheckTxn(const Txn& txn);

// INVALID_ARGUMENT if it is not positive or longer than etcd allows (some 285 years).
absl::Status CheckTtl(absl::Duration ttl);

// True if `key` is in `range`.
bool Contains(const KeyRange& range, std::string_view key);

}  // namespace fleet::store
