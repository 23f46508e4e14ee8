#pragma once

// An etcd as its clients see it: one ordered history of revisions, transactions, leases, watches
// from a revision, compaction; and what goes wrong with it. Calls are what a member does when a
// request reaches it; latency and loss are the network's.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/event_queue.h"
#include "store/store.h"

namespace fleet::sim {

// Who asks: a machine's part, or the user.
struct Client {
  enum class Role { kAgent, kLease, kEngine, kUser };
  Role role = Role::kUser;
  std::string machine;
};

// One revision.
struct Revision {
  struct Item {
    std::string key;
    const store::KeyValue* before = nullptr;  // null: it was absent
    const store::KeyValue* after = nullptr;   // null: it is deleted
  };
  int64_t revision = 0;
  const Client* client = nullptr;  // null: a lease has ended
  std::vector<Item> items;
};

class Etcd {
 public:
  using Deliver = std::function<void(absl::StatusOr<store::WatchBatch>)>;
  using WatcherId = uint64_t;

  // `on_revision` sees each revision before any watcher does; `on_restore` that all is another.
  Etcd(EventQueue* queue, std::function<void(const Revision&)> on_revision,
       std::function<void()> on_restore);

  absl::StatusOr<store::RangeResult> Range(const store::RangeRequest& request);
  absl::StatusOr<store::TxnResult> Commit(const store::Txn& txn, const Client& client);
  store::LeaseGrantResult Grant(absl::Duration ttl);
  absl::StatusOr<absl::Duration> KeepAlive(store::LeaseId lease);
  void Revoke(store::LeaseId lease);

  // `deliver` gets whole revisions in order, at once; an error ends the watch.
  WatcherId AddWatcher(store::KeyRange range, int64_t from_revision, Deliver deliver);
  void RemoveWatcher(WatcherId id) { watchers_.erase(id); }

  // Whether requests are served. While it is down no lease time passes; coming back is a change of
  // leader.
  void SetDown(bool down);
  bool down() const { return down_; }
  // Each lease gets its full TTL anew; watches go on.
  void ElectLeader();
  // The history before the present revision is forgotten.
  void Compact();
  // Leases end that much later than they should.
  void SetLeaseDelay(absl::Duration delay) { lease_delay_ = delay; }
  // Keep-alives are answered, and have no effect.
  void SetDeposed(bool deposed) { deposed_ = deposed; }
  // All leases that hold a key end now, kept or not, each with this chance.
  void RevokeSome(const std::function<bool()>& chance);
  // What it holds now, to be restored later. Watches are broken by a restore.
  void TakeBackup();
  bool HasBackup() const { return backup_ != nullptr; }
  void Restore();

  // Counts restores: what was sent to another incarnation does not reach this one.
  uint64_t incarnation() const { return incarnation_; }

  const std::map<std::string, store::KeyValue>& contents() const { return kvs_; }
  int64_t revision() const { return revision_; }
  // Requests served so far, keep-alives and reads of a machine's record left out.
  uint64_t ranges() const { return ranges_; }
  uint64_t commits() const { return commits_; }

 private:
  struct Lease {
    absl::Duration ttl;
    std::set<std::string> keys;
    EventQueue::Id end;
    bool armed = false;
  };
  struct Watcher {
    store::KeyRange range;
    int64_t next = 0;
    Deliver deliver;
  };
  struct Backup {
    std::map<std::string, store::KeyValue> kvs;
    int64_t revision = 0;
    std::map<store::LeaseId, absl::Duration> leases;
  };

  std::map<std::string, store::KeyValue> At(const store::KeyRange& range, int64_t revision) const;
  static void Replay(const store::Event& event, std::map<std::string, store::KeyValue>& kvs);
  bool Holds(const store::Compare& compare) const;
  void Put(const store::Put& put, Revision& revision, std::vector<store::Event>& events);
  void Delete(const std::string& key, Revision& revision, std::vector<store::Event>& events);
  void Publish(const Revision& revision, std::vector<store::Event> events);
  void Feed(Watcher& watcher);
  void BreakWatches(const absl::Status& why);
  void Arm(store::LeaseId id, Lease& lease);
  void Disarm(Lease& lease);
  void End(store::LeaseId id);

  EventQueue* const queue_;
  const std::function<void(const Revision&)> on_revision_;
  const std::function<void()> on_restore_;
  std::map<std::string, store::KeyValue> kvs_;
  std::vector<store::KeyValue> replaced_;  // of the revision being made
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
  std::map<std::string, store::KeyValue> base_;  // as it was before the history
  std::map<int64_t, std::vector<store::Event>> history_;
  std::map<store::LeaseId, Lease> leases_;
  store::LeaseId last_lease_ = 0x1000;
  std::map<WatcherId, Watcher> watchers_;
  WatcherId last_watcher_ = 0;
  bool down_ = false;
  bool deposed_ = false;
  absl::Duration lease_delay_;
  std::unique_ptr<Backup> backup_;
  uint64_t incarnation_ = 0;
  uint64_t ranges_ = 0;
  uint64_t commits_ = 0;
};

}  // namespace fleet::sim
