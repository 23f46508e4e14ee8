#pragma once

// Timers that run in the client's thread, through its completion queue. Every call needs the
// client's mutex; so do the functions, which run with it held.

#include <grpcpp/completion_queue.h>
#include <grpcpp/support/time.h>

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace fleet::store::etcd {

// `delay` from now on the monotonic clock, as gRPC wants it.
gpr_timespec After(absl::Duration delay);

// How long ago some fixed moment is, on the monotonic clock.
absl::Duration MonotonicNow();

class Timers {
 public:
  using Id = uint64_t;  // never 0

  explicit Timers(grpc::CompletionQueue* queue) : queue_(queue) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  Id Add(absl::Duration delay, absl::AnyInvocable<void()> task);
  void Cancel(Id id);  // 0, or one that has run: nothing happens

  // Cancels all; no further one is started.
  void Close();

 private:
  class Timer;
  grpc::CompletionQueue* queue_;
  absl::flat_hash_map<Id, Timer*> running_;  // each is deleted when the queue returns it
  Id last_id_ = 0;
  bool closed_ = false;
};

}  // namespace fleet::store::etcd
