#pragma once

// Keeps up with a range of keys: a paged read at one revision, then a watch from it. A gap
// (compaction, a store that was restored or replaced) is healed by reading again; a lost connection
// by watching on from where it ended. Nobody polls: while all is quiet there is no read.
//
// A restored store counts on from the revision of its backup, so before long it has all revisions
// that were known, with other changes. An engine that sees this gives the cluster another id
// (cluster/id), which tells those who come back later, whatever else they find as they knew it.
//
// Belongs to one executor; the store must be bound to the same one. Listener calls come in that
// executor.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::registry {

class Follower {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // A read from scratch begins: what OnPut() gave before is void.
    virtual void OnReadBegin() = 0;
    virtual void OnPut(const store::KeyValue& kv) = 0;
    virtual void OnDelete(const store::KeyValue& kv) = 0;
    // The store was restored or replaced: it is not known to have held what was given before the
    // read that is complete now.
    virtual void OnOtherHistory() {}
    // Everything up to `revision` has been given; `read` at the end of a read from scratch.
    virtual void OnReached(int64_t revision, bool read) = 0;
    // health() is another one.
    virtual void OnHealth(const absl::Status& /*health*/) {}
  };

  // All outlive the follower. `what` names the range in the log: "the registry". `keys` is where
  // the cluster's id is.
  Follower(store::Store* store, Executor* executor, const Keys& keys, store::KeyRange range,
           std::string what, Listener* listener);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void Start();

  // OK while the watch is up; otherwise why the store cannot be followed, as is known now.
  const absl::Status& health() const { return health_; }

 private:
  // A change that was given last.
  struct Known {
    std::string key;
    int64_t mod_revision = 0;  // 0: it was deleted
  };

  void Read();
  void ReadPage(std::string from_key, int64_t revision);
  void OnRead(int64_t revision);
  void Probe();
  void ProbeKnown(size_t index);
  void NotePut(const store::KeyValue& kv);
  void NoteDelete(const store::KeyValue& kv);
  void Watch();
  void OnBatch(absl::StatusOr<store::WatchBatch> batch);
  void Retry(const absl::Status& why, bool read_again);
  void SetHealth(absl::Status health);
  // Whether the cluster's id is another one than it was. An error is tried again.
  void AskForId(bool read_again, absl::AnyInvocable<void(bool is_another)> done);
  bool IsAnotherId(std::string id);
  // Range(), unless this follower ends before it is answered.
  void Ask(store::RangeRequest request, store::Callback<store::RangeResult> done);

  store::Store* const store_;
  Executor* const executor_;
  const store::KeyRange range_;
  const std::string what_;
  const std::string id_key_;
  Listener* const listener_;
  absl::Status health_;
  bool complete_ = false;  // a read has been completed
  int64_t revision_ = 0;   // everything up to here has been given
  // The newest put that was given, and a later deletion: a store that does not have them so at
  // `revision_` has another history.
  std::vector<Known> known_;
  std::string id_;              // the record of the cluster's id, as it was last seen
  bool other_history_ = false;  // of what is being read
  int failures_ = 0;            // in a row
  std::unique_ptr<store::Watch> watch_;
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_;  // expires with the follower; callbacks hold it weakly
};

}  // namespace fleet::registry
