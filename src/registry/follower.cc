#include "registry/follower.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fleet::registry {

namespace {

constexpr int64_t kPageSize = 10000;
constexpr absl::Duration kFirstRetry = absl::Milliseconds(50);
constexpr absl::Duration kLastRetry = absl::Seconds(1);

}  // namespace

Follower::Follower(store::Store* store, Executor* executor, store::KeyRange range, std::string what,
                   Listener* listener)
    : store_(store),
      executor_(executor),
      range_(std::move(range)),
      what_(std::move(what)),
      listener_(listener),
      health_(absl::UnavailableError("it has not been read yet")),
      alive_(std::make_shared<bool>(true)) {}

Follower::~Follower() {
  if (retry_ != 0) executor_->Cancel(retry_);
}

void Follower::Start() { Read(); }

void Follower::Read() {
  complete_ = false;
  ReadPage(range_.key, 0);
}

void Follower::ReadPage(std::string from_key, int64_t revision) {
  if (revision == 0) {
    newest_ = Newest();
    listener_->OnReadBegin();
  }
  store::RangeRequest request{{std::move(from_key), range_.end}, kPageSize, revision};
  store_->Range(std::move(request), [this, revision, alive = std::weak_ptr(alive_)](
                                        absl::StatusOr<store::RangeResult> page) {
    if (alive.expired()) return;
    if (!page.ok()) return Retry(page.status(), /*read_again=*/true);
    const int64_t read_at = revision == 0 ? page->revision : revision;
    for (const store::KeyValue& kv : page->kvs) {
      NotePut(kv);
      listener_->OnPut(kv);
    }
    if (page->more && !page->kvs.empty()) {
      return ReadPage(page->kvs.back().key + '\0', read_at);
    }
    if (read_at < revision_) {
      log::Warning(
          "{} went back from revision {} to {}: it was restored or replaced; all is read again",
          what_, revision_, read_at);
      listener_->OnOtherHistory();
    }
    revision_ = read_at;
    complete_ = true;
    listener_->OnReached(revision_, /*read=*/true);
    Watch();
  });
}

// Asks for the newest change that was given before a watch is taken up again. A watch from a
// revision that a restored store has not reached yet would stay silent; in one that has overtaken
// it meanwhile it would go on as if nothing had happened.
void Follower::Probe() {
  const std::string& key = newest_.key.empty() ? range_.key : newest_.key;
  store_->Range({{key, ""}, 1, revision_},
                [this, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
                  if (alive.expired()) return;
                  if (!result.ok()) {
                    return Retry(result.status(), absl::IsOutOfRange(result.status()));
                  }
                  if (result->revision < revision_) return Read();
                  if (Knows(*result)) return Watch();
                  log::Warning(
                      "{} is not the one that was read up to revision {}: it was restored or "
                      "replaced; all is read again",
                      what_, revision_);
                  listener_->OnOtherHistory();
                  Read();
                });
}

// Whether that is what the newest change has left.
bool Follower::Knows(const store::RangeResult& result) const {
  if (newest_.key.empty()) return true;
  const int64_t found = result.kvs.empty() ? 0 : result.kvs[0].mod_revision;
  return found == newest_.mod_revision;
}

void Follower::NotePut(const store::KeyValue& kv) {
  if (kv.mod_revision >= newest_.mod_revision) newest_ = {kv.key, kv.mod_revision};
}

void Follower::Watch() {
  if (!health_.ok()) log::Info("{} is being watched from revision {}", what_, revision_ + 1);
  SetHealth(absl::OkStatus());
  watch_ = store_->StartWatch(
      range_, revision_ + 1,
      [this](absl::StatusOr<store::WatchBatch> batch) { OnBatch(std::move(batch)); });
}

void Follower::SetHealth(absl::Status health) {
  if (health == health_) return;
  health_ = std::move(health);
  listener_->OnHealth(health_);
}

void Follower::OnBatch(absl::StatusOr<store::WatchBatch> batch) {
  if (!batch.ok()) {
    watch_.reset();
    return Retry(batch.status(), absl::IsOutOfRange(batch.status()));
  }
  failures_ = 0;
  if (batch->revision <= revision_) return;
  revision_ = batch->revision;
  for (const store::Event& event : batch->events) {
    if (event.type == store::Event::Type::kPut) {
      NotePut(event.kv);
      listener_->OnPut(event.kv);
    } else {
      if (event.kv.key == newest_.key) newest_.mod_revision = 0;
      listener_->OnDelete(event.kv);
    }
  }
  listener_->OnReached(revision_, /*read=*/false);
}

void Follower::Retry(const absl::Status& why, bool read_again) {
  if (health_.ok()) log::Warning("{} cannot be watched: {}", what_, std::string(why.message()));
  SetHealth(why);
  const absl::Duration delay =
      std::min(kLastRetry, kFirstRetry * static_cast<double>(1 << std::min(failures_, 10)));
  ++failures_;
  retry_ = executor_->PostAfter(delay, [this, read_again] {
    retry_ = 0;
    if (read_again || !complete_) {
      Read();
    } else {
      Probe();
    }
  });
}

}  // namespace fleet::registry
