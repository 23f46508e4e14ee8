#include "registry/mirror.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace fleet::registry {

namespace {

constexpr int64_t kPageSize = 10000;
constexpr absl::Duration kFirstRetry = absl::Milliseconds(50);
constexpr absl::Duration kLastRetry = absl::Seconds(1);

}  // namespace

Mirror::Mirror(store::Store* store, Executor* executor, Keys keys, Subscriber subscriber)
    : store_(store),
      executor_(executor),
      keys_(keys),
      subscriber_(std::move(subscriber)),
      builder_(std::move(keys)),
      health_(absl::UnavailableError("not read yet")),
      alive_(std::make_shared<bool>(true)) {}

Mirror::~Mirror() {
  if (retry_ != 0) executor_->Cancel(retry_);
}

void Mirror::Start() {
  builder_.Clear();
  ReadPage(keys_.prefix(), 0);
}

void Mirror::ReadPage(std::string from_key, int64_t revision) {
  store::RangeRequest request{{std::move(from_key), keys_.All().end}, kPageSize, revision};
  store_->Range(std::move(request), [this, revision, alive = std::weak_ptr(alive_)](
                                        absl::StatusOr<store::RangeResult> page) {
    if (alive.expired()) return;
    if (!page.ok()) return Retry(page.status(), /*read_again=*/true);
    const int64_t read_at = revision == 0 ? page->revision : revision;
    for (const store::KeyValue& kv : page->kvs) builder_.Put(kv);
    if (page->more && !page->kvs.empty()) {
      return ReadPage(page->kvs.back().key + '\0', read_at);
    }
    if (read_at < revision_) {
      ++incarnation_;
      log::Warning(
          "the registry went back from revision {} to {}: it was restored or replaced; "
          "everything is read again",
          revision_, read_at);
    }
    revision_ = read_at;
    Publish({}, /*reset=*/true);
    Watch();
  });
}

// Asks for the store's revision before a watch is taken up again: a watch from a revision that a
// restored store has not reached yet would stay silent.
void Mirror::Probe() {
  store_->Range({{keys_.Leader(), ""}, 1, 0},
                [this, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
                  if (alive.expired()) return;
                  if (!result.ok()) return Retry(result.status(), /*read_again=*/false);
                  if (result->revision < revision_) return Start();
                  Watch();
                });
}

void Mirror::Watch() {
  health_ = absl::OkStatus();
  watch_ = store_->StartWatch(
      keys_.All(), revision_ + 1,
      [this](absl::StatusOr<store::WatchBatch> batch) { OnBatch(std::move(batch)); });
}

void Mirror::OnBatch(absl::StatusOr<store::WatchBatch> batch) {
  if (!batch.ok()) {
    watch_.reset();
    return Retry(batch.status(), absl::IsOutOfRange(batch.status()));
  }
  failures_ = 0;
  if (batch->revision <= revision_) return;
  revision_ = batch->revision;
  std::vector<Change> changes;
  changes.reserve(batch->events.size());
  for (const store::Event& event : batch->events) {
    auto change =
        event.type == store::Event::Type::kPut ? builder_.Put(event.kv) : builder_.Delete(event.kv);
    if (change) changes.push_back(*std::move(change));
  }
  Publish(std::move(changes), /*reset=*/false);
}

void Mirror::Publish(std::vector<Change> changes, bool reset) {
  view_ = builder_.Snapshot(revision_);
  subscriber_(ViewChange{view_, std::move(changes), reset});
}

void Mirror::Retry(const absl::Status& why, bool read_again) {
  if (health_.ok()) log::Warning("the registry cannot be watched: {}", std::string(why.message()));
  health_ = why;
  const absl::Duration delay =
      std::min(kLastRetry, kFirstRetry * static_cast<double>(1 << std::min(failures_, 10)));
  ++failures_;
  retry_ = executor_->PostAfter(delay, [this, read_again] {
    retry_ = 0;
    if (read_again || view_ == nullptr) {
      Start();
    } else {
      Probe();
    }
  });
}

}  // namespace fleet::registry
