#include "sim/etcd.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "store/txn_check.h"

namespace fleet::sim {

namespace {

// How much of the history is kept without a compaction.
constexpr size_t kHistory = 5000;

auto EndOf(const std::map<std::string, store::KeyValue>& kvs, const store::KeyRange& range) {
  if (range.end.empty()) return kvs.upper_bound(range.key);
  return range.end == std::string(1, '\0') ? kvs.end() : kvs.lower_bound(range.end);
}

}  // namespace

Etcd::Etcd(EventQueue* queue, std::function<void(const Revision&)> on_revision,
           std::function<void()> on_restore)
    : queue_(queue), on_revision_(std::move(on_revision)), on_restore_(std::move(on_restore)) {}

absl::StatusOr<store::RangeResult> Etcd::Range(const store::RangeRequest& request) {
  // A machine's look at its own record, which OnIsolation=stop needs, is allowed at any time (C1).
  const bool is_own_record =
      request.range.end.empty() && request.range.key.find("/machines/") != std::string::npos;
  if (!is_own_record) ++ranges_;
  store::RangeResult result;
  result.revision = revision_;
  std::map<std::string, store::KeyValue> earlier;
  if (request.revision != 0 && request.revision != revision_) {
    if (request.revision > revision_ || request.revision + 1 < compacted_) {
      return absl::OutOfRangeError("the revision has been compacted, or is yet to come");
    }
    earlier = At(request.range, request.revision);
  }
  const auto& kvs = request.revision == 0 || request.revision == revision_ ? kvs_ : earlier;
  const auto end = EndOf(kvs, request.range);
  for (auto it = kvs.lower_bound(request.range.key); it != end; ++it) {
    if (request.limit > 0 && result.kvs.size() == static_cast<size_t>(request.limit)) {
      result.more = true;
      break;
    }
    result.kvs.push_back(it->second);
  }
  return result;
}

// What the range held at an earlier revision that has not been compacted.
std::map<std::string, store::KeyValue> Etcd::At(const store::KeyRange& range,
                                                int64_t revision) const {
  const auto end = EndOf(base_, range);
  std::map<std::string, store::KeyValue> kvs(base_.lower_bound(range.key), end);
  for (auto it = history_.begin(); it != history_.end() && it->first <= revision; ++it) {
    for (const store::Event& event : it->second) {
      if (store::Contains(range, event.kv.key)) Replay(event, kvs);
    }
  }
  return kvs;
}

void Etcd::Replay(const store::Event& event, std::map<std::string, store::KeyValue>& kvs) {
  if (event.type == store::Event::Type::kPut) {
    kvs[event.kv.key] = event.kv;
  } else {
    kvs.erase(event.kv.key);
  }
}

bool Etcd::Holds(const store::Compare& compare) const {
  const auto it = kvs_.find(compare.key);
  if (it == kvs_.end()) return compare.revision == 0;
  return compare.target == store::Compare::Target::kModRevision
             ? it->second.mod_revision == compare.revision
             : it->second.create_revision == compare.revision;
}

absl::StatusOr<store::TxnResult> Etcd::Commit(const store::Txn& txn, const Client& client) {
  const absl::Status valid = store::CheckTxn(txn);
  if (!valid.ok()) return valid;
  ++commits_;
  for (const store::Compare& compare : txn.compares) {
    if (!Holds(compare)) return store::TxnResult{false, revision_};
  }
  for (const store::Op& op : txn.ops) {
    const auto* put = std::get_if<store::Put>(&op);
    if (put != nullptr && put->lease != 0 && !leases_.contains(put->lease)) {
      return absl::NotFoundError("requested lease not found");
    }
  }
  Revision revision{.revision = revision_ + 1, .client = &client, .items = {}};
  std::vector<store::Event> events;
  replaced_.clear();
  replaced_.reserve(1024);  // items point into it
  for (const store::Op& op : txn.ops) {
    if (const auto* put = std::get_if<store::Put>(&op)) {
      Put(*put, revision, events);
      continue;
    }
    const store::KeyRange& range = std::get<store::Delete>(op).range;
    std::vector<std::string> keys;
    const auto end = EndOf(kvs_, range);
    for (auto it = kvs_.lower_bound(range.key); it != end; ++it) keys.push_back(it->first);
    for (const std::string& key : keys) Delete(key, revision, events);
  }
  if (events.empty()) return store::TxnResult{true, revision_};
  revision_ = revision.revision;
  Publish(revision, std::move(events));
  return store::TxnResult{true, revision_};
}

void Etcd::Put(const store::Put& put, Revision& revision, std::vector<store::Event>& events) {
  auto [it, is_new] = kvs_.try_emplace(put.key);
  store::KeyValue& kv = it->second;
  Revision::Item item{.key = put.key};
  if (!is_new) {
    replaced_.push_back(kv);
    item.before = &replaced_.back();
    if (kv.lease != 0) leases_[kv.lease].keys.erase(put.key);
  } else {
    kv.key = put.key;
    kv.create_revision = revision.revision;
  }
  kv.value = put.value;
  kv.mod_revision = revision.revision;
  ++kv.version;
  kv.lease = put.lease;
  if (put.lease != 0) leases_[put.lease].keys.insert(put.key);
  item.after = &kv;
  revision.items.push_back(std::move(item));
  events.push_back({store::Event::Type::kPut, kv});
}

void Etcd::Delete(const std::string& key, Revision& revision, std::vector<store::Event>& events) {
  const auto it = kvs_.find(key);
  if (it == kvs_.end()) return;
  if (it->second.lease != 0) leases_[it->second.lease].keys.erase(key);
  replaced_.push_back(std::move(it->second));
  revision.items.push_back({.key = key, .before = &replaced_.back()});
  store::KeyValue gone;
  gone.key = key;
  gone.mod_revision = revision.revision;
  events.push_back({store::Event::Type::kDelete, std::move(gone)});
  kvs_.erase(it);
}

void Etcd::Publish(const Revision& revision, std::vector<store::Event> events) {
  history_[revision.revision] = std::move(events);
  if (history_.size() > kHistory) {
    compacted_ = history_.begin()->first + 1;
    for (const store::Event& event : history_.begin()->second) Replay(event, base_);
    history_.erase(history_.begin());
  }
  on_revision_(revision);
  for (auto& [id, watcher] : watchers_) Feed(watcher);
}

void Etcd::Feed(Watcher& watcher) {
  for (auto it = history_.lower_bound(watcher.next); it != history_.end(); ++it) {
    store::WatchBatch batch;
    batch.revision = it->first;
    for (const store::Event& event : it->second) {
      if (store::Contains(watcher.range, event.kv.key)) batch.events.push_back(event);
    }
    watcher.next = it->first + 1;
    if (!batch.events.empty()) watcher.deliver(std::move(batch));
  }
}

Etcd::WatcherId Etcd::AddWatcher(store::KeyRange range, int64_t from_revision, Deliver deliver) {
  if (from_revision < compacted_ || from_revision > revision_ + 1) {
    deliver(absl::OutOfRangeError("the revision has been compacted, or is yet to come"));
    return 0;
  }
  const WatcherId id = ++last_watcher_;
  Watcher& watcher = watchers_[id];
  watcher = {std::move(range), from_revision, std::move(deliver)};
  Feed(watcher);
  return id;
}

void Etcd::BreakWatches(const absl::Status& why) {
  for (auto& [id, watcher] : std::exchange(watchers_, {})) watcher.deliver(why);
}

store::LeaseGrantResult Etcd::Grant(absl::Duration ttl) {
  const store::LeaseId id = ++last_lease_;
  Lease& lease = leases_[id];
  lease.ttl = ttl;
  Arm(id, lease);
  return {id, ttl};
}

absl::StatusOr<absl::Duration> Etcd::KeepAlive(store::LeaseId id) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return absl::NotFoundError("requested lease not found");
  if (!deposed_) Arm(id, it->second);
  return it->second.ttl;
}

void Etcd::Revoke(store::LeaseId id) { End(id); }

void Etcd::Arm(store::LeaseId id, Lease& lease) {
  Disarm(lease);
  lease.armed = true;
  lease.end = queue_->After(lease.ttl + lease_delay_, [this, id] { End(id); });
}

void Etcd::Disarm(Lease& lease) {
  if (std::exchange(lease.armed, false)) queue_->Cancel(lease.end);
}

void Etcd::End(store::LeaseId id) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return;
  Disarm(it->second);
  const std::set<std::string> keys = std::move(it->second.keys);
  leases_.erase(it);
  if (keys.empty()) return;
  Revision revision{.revision = revision_ + 1, .client = nullptr, .items = {}};
  std::vector<store::Event> events;
  replaced_.clear();
  replaced_.reserve(keys.size());
  for (const std::string& key : keys) {
    kvs_[key].lease = 0;  // the lease is gone already
    Delete(key, revision, events);
  }
  revision_ = revision.revision;
  Publish(revision, std::move(events));
}

void Etcd::RevokeSome(const std::function<bool()>& chance) {
  std::vector<store::LeaseId> ids;
  for (const auto& [id, lease] : leases_) {
    if (!lease.keys.empty() && chance()) ids.push_back(id);
  }
  for (const store::LeaseId id : ids) End(id);
}

void Etcd::SetDown(bool down) {
  if (std::exchange(down_, down) == down) return;
  if (!down) return ElectLeader();
  for (auto& [id, lease] : leases_) Disarm(lease);
  BreakWatches(absl::UnavailableError("etcd is down"));
}

void Etcd::ElectLeader() {
  if (down_) return;
  for (auto& [id, lease] : leases_) Arm(id, lease);
}

void Etcd::Compact() {
  compacted_ = revision_ + 1;
  history_.clear();
  base_ = kvs_;
}

void Etcd::TakeBackup() {
  backup_ = std::make_unique<Backup>();
  backup_->kvs = kvs_;
  backup_->revision = revision_;
  for (const auto& [id, lease] : leases_) backup_->leases[id] = lease.ttl;
}

void Etcd::Restore() {
  ++incarnation_;
  BreakWatches(absl::UnavailableError("etcd is down"));
  for (auto& [id, lease] : leases_) Disarm(lease);
  leases_.clear();
  kvs_ = backup_->kvs;
  revision_ = backup_->revision;
  Compact();
  for (const auto& [id, ttl] : backup_->leases) {
    leases_[id].ttl = ttl;
    Arm(id, leases_[id]);
  }
  for (const auto& [key, kv] : kvs_) {
    if (kv.lease != 0) leases_[kv.lease].keys.insert(key);
  }
  on_restore_();
}

}  // namespace fleet::sim
