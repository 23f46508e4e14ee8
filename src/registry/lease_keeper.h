#pragma once

// Holds a lease: grants it (or takes up one kept from before), renews it every third of its TTL,
// and grants another one when it has ended. Knows nothing of what hangs on it.
//
// Belongs to the lease loop, where nothing else may run: a renewal must not wait behind other work.
// The listener is called there too and posts into the loop that is concerned.

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/executor.h"
#include "store/store.h"

namespace fleet::registry {

class LeaseKeeper {
 public:
  struct Listener {
    // The lease is held, and lasts `ttl` (what was granted) from each renewal on.
    absl::AnyInvocable<void(store::LeaseId lease, absl::Duration ttl)> on_held;
    // It has ended on the store's side: everything that hung on it is deleted there.
    absl::AnyInvocable<void()> on_lost;
    // It could not be granted or renewed this time.
    absl::AnyInvocable<void(const absl::Status& why)> on_failure;
    // The store has not answered a renewal for a whole TTL; once until it does again.
    absl::AnyInvocable<void(const absl::Status& why)> on_cut_off;
  };

  // `store` (bound to `executor`) and `executor` outlive the keeper. `saved` is a lease from before
  // (0: none), taken up if it still lives.
  LeaseKeeper(store::Store* store, Executor* executor, absl::Duration ttl, store::LeaseId saved,
              Listener listener);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  void Start();

  // Renews the lease no more, which others may go on with, and takes a new one.
  void Abandon();

  // Ends the lease now and renews no more. `done` also when the store is out of reach.
  void Release(absl::AnyInvocable<void()> done);

 private:
  void Grant();
  void Renew();
  void OnRenewed(const absl::StatusOr<absl::Duration>& ttl);
  void Schedule(absl::Duration delay, void (LeaseKeeper::*next)());
  void NoteFailure(const absl::Status& why);

  store::Store* const store_;
  Executor* const executor_;
  const absl::Duration wanted_ttl_;
  Listener listener_;
  store::LeaseId lease_ = 0;
  absl::Duration ttl_;
  bool announced_ = false;  // on_held was called for lease_
  bool released_ = false;
  bool cut_off_ = false;
  absl::Time last_success_;
  Executor::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::registry
