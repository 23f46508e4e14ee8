#pragma once

// The store's content as tables. Each change of a key is a row of its own with the revision it was
// made at, so that the past can be read, until Compact() forgets what was superseded.
//
//   version(id, key, mod_revision, create_revision, version, lease, deleted, value)
//            ids ascend in the order of the changes (the newest row is never compacted away);
//            a deletion is a row with `deleted`
//   live(key, id)       the present version of each key that exists
//   lease(id, ttl)      in seconds
//   meta(name, value)   compacted: the revision up to which superseded versions are gone
//
// One thread. A method's failure is the database's; the transaction must then be rolled back.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/embedded/sqlite.h"
#include "store/store.h"

namespace fleet::store::embedded {

class Tables {
 public:
  // Makes the tables if the database is empty. FAILED_PRECONDITION if a newer version made them.
  static absl::StatusOr<std::unique_ptr<Tables>> Open(Database* database);

  absl::StatusOr<int64_t> Revision();   // 1 at first, as etcd's
  absl::StatusOr<int64_t> Compacted();  // 0 at first
  absl::StatusOr<std::vector<std::pair<LeaseId, int64_t>>> Leases();

  // The present version of a key, without its value.
  absl::StatusOr<std::optional<KeyValue>> Find(const std::string& key);
  // The keys in `range` now (revision 0) or at `revision`, at most `limit` (0: all).
  absl::StatusOr<std::vector<KeyValue>> Range(const KeyRange& range, int64_t revision,
                                              int64_t limit);
  // All changes from `revision` on.
  absl::StatusOr<std::vector<Event>> Changes(const KeyRange& range, int64_t revision);
  absl::StatusOr<std::vector<std::string>> KeysIn(const KeyRange& range);
  absl::StatusOr<std::vector<std::string>> KeysOf(LeaseId lease);

  // Both return what was stored. The key of a deletion must exist.
  absl::StatusOr<Event> Put(const std::string& key, const std::string& value, LeaseId lease,
                            int64_t revision);
  absl::StatusOr<Event> Delete(const std::string& key, int64_t revision);

  absl::Status AddLease(LeaseId lease, int64_t ttl_seconds);
  absl::Status RemoveLease(LeaseId lease);

  // Forgets what was superseded at `revision` or before; `compacted` is where the last one ended.
  absl::Status Compact(int64_t compacted, int64_t revision);

 private:
  explicit Tables(Database* database) : database_(database) {}
  absl::Status Create();
  absl::Status Prepare();
  absl::Status Insert(const KeyValue& kv, bool deleted);

  Database* const database_;
  Statement find_, insert_, set_live_, unset_live_;
  Statement range_, range_to_end_, past_, past_to_end_, changes_;
  Statement keys_, keys_to_end_, keys_of_;
  Statement add_lease_, remove_lease_;
};

}  // namespace fleet::store::embedded
