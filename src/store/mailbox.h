#pragma once

// Brings the answers of a store's own threads back to the loop that asked.
//
// A mailbox belongs to one handle on a store and to the executor of the loop that uses it. It keeps
// the callbacks, so that they are called and destroyed in that loop's thread only; the other
// threads hold a sender, which posts the answer. Once the mailbox is gone senders do nothing.
// Made, used and destroyed in the executor's thread; senders may be called from any thread.

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"

namespace fleet::store {

class Mailbox {
 public:
  template <typename Answer>
  using Sender = absl::AnyInvocable<void(Answer)>;

  explicit Mailbox(Executor* executor) : box_(std::make_shared<Box>()) {
    box_->executor = executor;
  }
  ~Mailbox() {
    // A callback's destructor may end up in this mailbox's owner: no lock is held while they run.
    box_->Close();
    auto waiting = std::move(box_->waiting);
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // For one answer: `done` is called with what the sender is given first.
  template <typename Answer>
  Sender<Answer> Once(absl::AnyInvocable<void(Answer)> done) {
    auto callback = std::make_shared<absl::AnyInvocable<void(Answer)>>(std::move(done));
    box_->waiting.insert(callback);
    return [box = box_, weak = std::weak_ptr(callback)](Answer answer) {
      Box* const raw = box.get();
      box->Post([raw, weak, answer = std::move(answer)]() mutable {
        // If the callback is still there, so is the mailbox, and with it the box.
        auto locked = weak.lock();
        if (!locked || raw->waiting.erase(locked) == 0) return;
        (*locked)(std::move(answer));
      });
    };
  }

  // For many answers, until the returned handle is destroyed (in the executor's thread).
  template <typename Answer>
  std::pair<std::shared_ptr<void>, Sender<Answer>> Many(absl::AnyInvocable<void(Answer)> done) {
    auto callback = std::make_shared<absl::AnyInvocable<void(Answer)>>(std::move(done));
    Sender<Answer> sender = [box = box_, weak = std::weak_ptr(callback)](Answer answer) {
      box->Post([box, weak, answer = std::move(answer)]() mutable {
        auto locked = weak.lock();
        if (!locked || !box->IsOpen()) return;
        (*locked)(std::move(answer));
      });
    };
    return {std::move(callback), std::move(sender)};
  }

 private:
  struct Box {
    absl::Mutex mutex;
    Executor* executor ABSL_GUARDED_BY(mutex) = nullptr;  // null once closed
    absl::flat_hash_set<std::shared_ptr<void>> waiting;   // the executor's thread only

    void Post(Task task) {
      absl::MutexLock lock(&mutex);
      if (executor != nullptr) executor->Post(std::move(task));
    }
    bool IsOpen() {
      absl::MutexLock lock(&mutex);
      return executor != nullptr;
    }
    void Close() {
      absl::MutexLock lock(&mutex);
      executor = nullptr;
    }
  };
  std::shared_ptr<Box> box_;
};

}  // namespace fleet::store
