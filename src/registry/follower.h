#pragma once

// Keeps up with a range of keys: a paged read at one revision, then a watch from it. A gap
// (compaction, a store that was restored or replaced) is healed by reading again; a lost connection
// by watching on from where it ended. Nobody polls: while all is quiet there is no read.
//
// Belongs to one executor; the store must be bound to the same one. Listener calls come in that
// executor.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/executor.h"
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
    // The store was restored or replaced: it is not known to have held what was given so far. The
    // read that follows, or is complete, is of another history.
    virtual void OnOtherHistory() {}
    // Everything up to `revision` has been given; `read` at the end of a read from scratch.
    virtual void OnReached(int64_t revision, bool read) = 0;
    // health() is another one.
    virtual void OnHealth(const absl::Status& /*health*/) {}
  };

  // All outlive the follower. `what` names the range in the log: "the registry".
  Follower(store::Store* store, Executor* executor, store::KeyRange range, std::string what,
           Listener* listener);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void Start();

  // OK while the watch is up; otherwise why the store cannot be followed, as is known now.
  const absl::Status& health() const { return health_; }

 private:
  void Read();
  void ReadPage(std::string from_key, int64_t revision);
  void Probe();
  void NotePut(const store::KeyValue& kv);
  bool Knows(const store::RangeResult& result) const;
  void Watch();
  void OnBatch(absl::StatusOr<store::WatchBatch> batch);
  void Retry(const absl::Status& why, bool read_again);
  void SetHealth(absl::Status health);

  store::Store* const store_;
  Executor* const executor_;
  const store::KeyRange range_;
  const std::string what_;
  Listener* const listener_;
  absl::Status health_;
  bool complete_ = false;  // a read has been completed
  int64_t revision_ = 0;   // everything up to here has been given
  // The newest change that was given: a store that does not know of it has another history.
  struct Newest {
    std::string key;
    int64_t mod_revision = 0;  // 0: it was deleted
  };
  Newest newest_;
  int failures_ = 0;  // in a row
  std::unique_ptr<store::Watch> watch_;
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_;  // expires with the follower; callbacks hold it weakly
};

}  // namespace fleet::registry
