#pragma once

// For tests: a client of an event stream.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "api/http.h"
#include "base/executor.h"

namespace fleet::api {

// Takes everything at once, or (stalled) nothing.
class FakeSink : public EventSink {
 public:
  explicit FakeSink(Executor* executor) : executor_(executor) {}

  void Send(std::shared_ptr<const std::string> bytes) override {
    if (stalled) {
      queued_ += bytes->size();
      return;
    }
    text_ += *bytes;
    largest = std::max(largest, bytes->size());
    if (drained_) executor_->Post(std::exchange(drained_, nullptr));
  }
  size_t QueuedBytes() const override { return queued_; }
  bool closed() const override { return closed_; }
  void DiscardQueued() override {
    queued_ = 0;
    stalled = false;
  }
  void Close() override { closed_ = true; }
  void Finish() override { finished = closed_ = true; }
  void OnDrained(absl::AnyInvocable<void()> drained) override { drained_ = std::move(drained); }

  std::string TakeText() { return std::exchange(text_, std::string()); }

  bool stalled = false;
  bool finished = false;
  size_t largest = 0;

 protected:
  std::string text_;

 private:
  Executor* executor_;
  size_t queued_ = 0;
  bool closed_ = false;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace fleet::api
