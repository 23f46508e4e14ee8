#pragma once

// A small ordered key-value store with etcd's semantics: revisions, transactions with compares,
// leases, watches from a revision. Two implementations (etcd/, embedded/) pass one contract test
// (store_contract_test.cc); nothing above knows which one runs.
//
// Every call is asynchronous. Callbacks run exactly once, on the executor the store was made with,
// never inside the call itself. A store may be called from that executor's thread only.
// Destroying a store drops the callbacks still waiting.
//
// Errors:
//   UNAVAILABLE        not reached; nothing is known to have happened (for Commit: nothing did)
//   DEADLINE_EXCEEDED  no answer in time. A Commit may still take effect: its outcome is unknown
//   OUT_OF_RANGE       the revision asked for has been compacted away
//   NOT_FOUND          the lease does not exist (any more)
//   RESOURCE_EXHAUSTED the store is full (quota, disk)
//   PERMISSION_DENIED, UNAUTHENTICATED, INVALID_ARGUMENT as named

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/executor.h"

namespace fleet::store {

using LeaseId = int64_t;  // 0: no lease

struct KeyValue {
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  LeaseId lease = 0;
};

// Keys in [key, end). An empty `end` means the key itself. See PrefixRange().
struct KeyRange {
  std::string key;
  std::string end;
};

// All keys that begin with `prefix` (not empty).
KeyRange PrefixRange(std::string prefix);

struct RangeRequest {
  KeyRange range;
  int64_t limit = 0;     // 0: all of them
  int64_t revision = 0;  // 0: the newest, read linearizably
};

struct RangeResult {
  std::vector<KeyValue> kvs;  // in the order of their keys
  bool more = false;          // `limit` cut it off
  int64_t revision = 0;       // the store's revision when it was read
};

struct Compare {
  enum class Target { kCreateRevision, kModRevision };
  Target target = Target::kModRevision;
  std::string key;
  int64_t revision = 0;  // 0: the key is absent
};

struct Put {
  std::string key;
  std::string value;
  LeaseId lease = 0;
};
struct Delete {
  KeyRange range;
};
using Op = std::variant<Put, Delete>;

// If all compares hold, all operations are done, in one revision. At most kMaxTxnSize of each.
// One transaction must not put the same key twice.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Op> ops;
};
inline constexpr size_t kMaxTxnSize = 128;

struct TxnResult {
  bool succeeded = false;
  int64_t revision = 0;  // of this transaction if it wrote, else the store's
};

struct LeaseGrantResult {
  LeaseId id = 0;
  absl::Duration ttl;  // what was granted; may be more than what was asked for
};

struct Event {
  enum class Type { kPut, kDelete };
  Type type = Type::kPut;
  KeyValue kv;  // of a delete: key and mod_revision (that of the deletion) only
};

// All events of one or several whole revisions, in order; empty for a progress notification.
struct WatchBatch {
  std::vector<Event> events;
  int64_t revision = 0;  // everything up to here has been delivered
};

// A running watch; destroying it ends it, and no callback comes afterwards.
class Watch {
 public:
  virtual ~Watch() = default;
};

template <typename T>
using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
using DoneCallback = absl::AnyInvocable<void(absl::Status)>;

class Store {
 public:
  virtual ~Store() = default;

  virtual void Range(RangeRequest request, Callback<RangeResult> done) = 0;
  virtual void Commit(Txn txn, Callback<TxnResult> done) = 0;

  virtual void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) = 0;
  // The TTL the lease has from now on, or NOT_FOUND if it has ended.
  virtual void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) = 0;
  // Ends the lease and deletes its keys. OK if there is none.
  virtual void LeaseRevoke(LeaseId lease, DoneCallback done) = 0;

  // Calls `on_batch` with all changes of `range` from `from_revision` on (> 0), until an error
  // ends the watch; the error is its last call. OUT_OF_RANGE: `from_revision` is compacted away, or
  // beyond the store's next revision (it was restored from a backup): read again. UNAVAILABLE: the
  // connection is lost; watch again from the last revision seen + 1.
  virtual std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                            Callback<WatchBatch> on_batch) = 0;

  // Another handle on the same store, for the loop that `executor` belongs to; the store lives as
  // long as its last handle. Any thread may call it. Null if this kind of store cannot: use
  // BindStore() of shared_store.h, which can always.
  virtual std::unique_ptr<Store> Bind(Executor* /*executor*/) { return nullptr; }
};

}  // namespace fleet::store
