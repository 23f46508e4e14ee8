#include "store/embedded/jobs.h"

#include <utility>
#include <variant>

#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"
#include "store/txn_check.h"

namespace fleet::store::embedded {
namespace {

absl::Status NoLease(LeaseId lease) {
  return absl::NotFoundError(fmt::format("lease {} does not exist or has ended", lease));
}

absl::Status BeyondHistory(std::string_view what, int64_t revision, const State& state) {
  return absl::OutOfRangeError(fmt::format("{} revision {}: the registry has those from {} to {}",
                                           what, revision, state.compacted + 1, state.revision));
}

// Deletes `keys` in one revision, `revision`.
absl::Status DeleteAll(const std::vector<std::string>& keys, int64_t revision, Workplace& place) {
  for (const std::string& key : keys) {
    ASSIGN_OR_RETURN(Event event, place.tables.Delete(key, revision));
    place.events.push_back(std::move(event));
    place.state.revision = revision;
  }
  return absl::OkStatus();
}

absl::Status EndLease(LeaseId lease, Workplace& place) {
  ASSIGN_OR_RETURN(const auto keys, place.tables.KeysOf(lease));
  RETURN_IF_ERROR(DeleteAll(keys, place.state.revision + 1, place));
  RETURN_IF_ERROR(place.tables.RemoveLease(lease));
  place.state.leases.erase(lease);
  return absl::OkStatus();
}

// A job with an answer.
template <typename T>
class Request : public Job {
 public:
  explicit Request(Reply<T> reply) : reply_(std::move(reply)) {}

  absl::Status Run(Workplace& place) final {
    absl::Status database;
    answer_ = Answer(place, database);
    return database;
  }
  void Done(const absl::Status& transaction, Workplace& /*place*/) final {
    if (transaction.ok()) {
      reply_(std::move(answer_));
    } else {
      reply_(transaction);
    }
  }

 protected:
  // The answer, or in `database` what failed there.
  virtual absl::StatusOr<T> Answer(Workplace& place, absl::Status& database) = 0;

 private:
  Reply<T> reply_;
  absl::StatusOr<T> answer_;
};

class RangeJob final : public Request<RangeResult> {
 public:
  RangeJob(RangeRequest request, Reply<RangeResult> reply)
      : Request(std::move(reply)), request_(std::move(request)) {}

 protected:
  absl::StatusOr<RangeResult> Answer(Workplace& place, absl::Status& database) override {
    const State& state = place.state;
    if (request_.range.key.empty()) return absl::InvalidArgumentError("a range without a key");
    int64_t revision = request_.revision;
    if (revision > state.revision || (revision > 0 && revision < state.compacted)) {
      return BeyondHistory("reading at", revision, state);
    }
    if (revision == state.revision) revision = 0;
    const int64_t limit = request_.limit;
    auto kvs = place.tables.Range(request_.range, revision, limit == 0 ? 0 : limit + 1);
    if (!kvs.ok()) {
      database = kvs.status();
      return database;
    }
    RangeResult result{.kvs = *std::move(kvs), .revision = state.revision};
    if (limit > 0 && result.kvs.size() > static_cast<size_t>(limit)) {
      result.kvs.pop_back();
      result.more = true;
    }
    return result;
  }

 private:
  const RangeRequest request_;
};

class CommitJob final : public Request<TxnResult> {
 public:
  CommitJob(Txn txn, Reply<TxnResult> reply) : Request(std::move(reply)), txn_(std::move(txn)) {}

 protected:
  absl::StatusOr<TxnResult> Answer(Workplace& place, absl::Status& database) override {
    auto holds = ComparesHold(place);
    if (!holds.ok()) {
      database = holds.status();
      return database;
    }
    if (!*holds) return TxnResult{false, place.state.revision};
    for (const Op& op : txn_.ops) {
      const auto* put = std::get_if<Put>(&op);
      if (put != nullptr && put->lease != 0 && !place.state.leases.contains(put->lease)) {
        return NoLease(put->lease);
      }
    }
    database = Apply(place);
    return TxnResult{true, place.state.revision};
  }

 private:
  absl::StatusOr<bool> ComparesHold(Workplace& place) const {
    for (const Compare& compare : txn_.compares) {
      ASSIGN_OR_RETURN(const auto kv, place.tables.Find(compare.key));
      const bool of_creation = compare.target == Compare::Target::kCreateRevision;
      const int64_t revision = !kv ? 0 : of_creation ? kv->create_revision : kv->mod_revision;
      if (revision != compare.revision) return false;
    }
    return true;
  }

  absl::Status Apply(Workplace& place) const {
    const int64_t revision = place.state.revision + 1;
    for (const Op& op : txn_.ops) {
      if (const auto* put = std::get_if<Put>(&op)) {
        ASSIGN_OR_RETURN(Event event, place.tables.Put(put->key, put->value, put->lease, revision));
        place.events.push_back(std::move(event));
        place.state.revision = revision;
      } else {
        ASSIGN_OR_RETURN(const auto keys, place.tables.KeysIn(std::get<Delete>(op).range));
        RETURN_IF_ERROR(DeleteAll(keys, revision, place));
      }
    }
    return absl::OkStatus();
  }

  const Txn txn_;
};

class GrantJob final : public Request<LeaseGrantResult> {
 public:
  GrantJob(absl::Duration ttl, Reply<LeaseGrantResult> reply)
      : Request(std::move(reply)),
        // Never one that was given before: an old machine record may still name it.
        id_(std::stoll(RandomId().substr(0, 15), nullptr, 16) | 1),
        ttl_seconds_(absl::ToInt64Seconds(absl::Ceil(ttl, absl::Seconds(1)))) {}

 protected:
  absl::StatusOr<LeaseGrantResult> Answer(Workplace& place, absl::Status& database) override {
    database = place.tables.AddLease(id_, ttl_seconds_);
    place.state.leases[id_] = {ttl_seconds_, Clock::now() + std::chrono::seconds(ttl_seconds_)};
    return LeaseGrantResult{id_, absl::Seconds(ttl_seconds_)};
  }

 private:
  const LeaseId id_;
  const int64_t ttl_seconds_;
};

class KeepAliveJob final : public Request<absl::Duration> {
 public:
  KeepAliveJob(LeaseId lease, Reply<absl::Duration> reply)
      : Request(std::move(reply)), lease_(lease) {}

 protected:
  absl::StatusOr<absl::Duration> Answer(Workplace& place, absl::Status& /*database*/) override {
    auto it = place.state.leases.find(lease_);
    if (it == place.state.leases.end()) return NoLease(lease_);
    it->second.end = Clock::now() + std::chrono::seconds(it->second.ttl_seconds);
    return absl::Seconds(it->second.ttl_seconds);
  }

 private:
  const LeaseId lease_;
};

class RevokeJob final : public Job {
 public:
  RevokeJob(LeaseId lease, absl::AnyInvocable<void(absl::Status)> reply)
      : lease_(lease), reply_(std::move(reply)) {}
  absl::Status Run(Workplace& place) override {
    return place.state.leases.contains(lease_) ? EndLease(lease_, place) : absl::OkStatus();
  }
  void Done(const absl::Status& transaction, Workplace& /*place*/) override { reply_(transaction); }

 private:
  const LeaseId lease_;
  absl::AnyInvocable<void(absl::Status)> reply_;
};

class WatchStartJob final : public Job {
 public:
  WatchStartJob(uint64_t id, KeyRange range, int64_t from_revision, Reply<WatchBatch> on_batch)
      : id_(id), range_(std::move(range)), from_(from_revision), on_batch_(std::move(on_batch)) {}

  absl::Status Run(Workplace& place) override {
    if (range_.key.empty()) {
      past_ = absl::InvalidArgumentError("a watch without a key");
    } else if (from_ <= 0) {
      past_ = absl::InvalidArgumentError("a watch needs a revision to start from");
    } else if (from_ <= place.state.compacted || from_ > place.state.revision + 1) {
      past_ = BeyondHistory("watching from", from_, place.state);
    } else {
      ASSIGN_OR_RETURN(auto events, place.tables.Changes(range_, from_));
      past_ = WatchBatch{std::move(events), place.state.revision};
    }
    return absl::OkStatus();
  }

  void Done(const absl::Status& transaction, Workplace& place) override {
    if (!transaction.ok()) past_ = transaction;
    if (!past_.ok()) {
      on_batch_(past_.status());
      return;
    }
    Watcher watcher{std::move(range_), past_->revision + 1, std::move(on_batch_)};
    if (!past_->events.empty()) watcher.on_batch(*std::move(past_));
    place.watchers.emplace(id_, std::move(watcher));
  }

 private:
  const uint64_t id_;
  KeyRange range_;
  const int64_t from_;
  Reply<WatchBatch> on_batch_;
  absl::StatusOr<WatchBatch> past_;  // what was before the watch begins to listen
};

class WatchEndJob final : public Job {
 public:
  explicit WatchEndJob(uint64_t id) : id_(id) {}
  absl::Status Run(Workplace& /*place*/) override { return absl::OkStatus(); }
  void Done(const absl::Status& /*transaction*/, Workplace& place) override {
    place.watchers.erase(id_);
  }

 private:
  const uint64_t id_;
};

class ExpiryJob final : public Job {
 public:
  absl::Status Run(Workplace& place) override {
    const auto now = Clock::now();
    std::vector<LeaseId> ended;
    for (const auto& [id, lease] : place.state.leases) {
      if (lease.end <= now) ended.push_back(id);
    }
    for (const LeaseId lease : ended) RETURN_IF_ERROR(EndLease(lease, place));
    return absl::OkStatus();
  }
  void Done(const absl::Status& /*transaction*/, Workplace& /*place*/) override {}
};

class CompactionJob final : public Job {
 public:
  explicit CompactionJob(int64_t revision) : revision_(revision) {}
  absl::Status Run(Workplace& place) override {
    RETURN_IF_ERROR(place.tables.Compact(place.state.compacted, revision_));
    place.state.compacted = revision_;
    return absl::OkStatus();
  }
  void Done(const absl::Status& /*transaction*/, Workplace& /*place*/) override {}

 private:
  const int64_t revision_;
};

}  // namespace

std::unique_ptr<Job> MakeRange(RangeRequest request, Reply<RangeResult> reply) {
  return std::make_unique<RangeJob>(std::move(request), std::move(reply));
}
std::unique_ptr<Job> MakeCommit(Txn txn, Reply<TxnResult> reply) {
  return std::make_unique<CommitJob>(std::move(txn), std::move(reply));
}
std::unique_ptr<Job> MakeLeaseGrant(absl::Duration ttl, Reply<LeaseGrantResult> reply) {
  return std::make_unique<GrantJob>(ttl, std::move(reply));
}
std::unique_ptr<Job> MakeLeaseKeepAlive(LeaseId lease, Reply<absl::Duration> reply) {
  return std::make_unique<KeepAliveJob>(lease, std::move(reply));
}
std::unique_ptr<Job> MakeLeaseRevoke(LeaseId lease, absl::AnyInvocable<void(absl::Status)> reply) {
  return std::make_unique<RevokeJob>(lease, std::move(reply));
}
std::unique_ptr<Job> MakeWatchStart(uint64_t id, KeyRange range, int64_t from_revision,
                                    Reply<WatchBatch> on_batch) {
  return std::make_unique<WatchStartJob>(id, std::move(range), from_revision, std::move(on_batch));
}
std::unique_ptr<Job> MakeWatchEnd(uint64_t id) { return std::make_unique<WatchEndJob>(id); }
std::unique_ptr<Job> MakeExpiry() { return std::make_unique<ExpiryJob>(); }
std::unique_ptr<Job> MakeCompaction(int64_t revision) {
  return std::make_unique<CompactionJob>(revision);
}

}  // namespace fleet::store::embedded
