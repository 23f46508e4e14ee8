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

Follower::Follower(store::Store* store, Executor* executor, const Keys& keys, store::KeyRange range,
                   std::string what, Listener* listener)
    : store_(store),
      executor_(executor),
      range_(std::move(range)),
      what_(std::move(what)),
      id_key_(keys.Cluster("id")),
      listener_(listener),
      health_(absl::UnavailableError("it has not been read yet")),
      alive_(std::make_shared<bool>(true)) {}

Follower::~Follower() {
  if (retry_ != 0) executor_->Cancel(retry_);
}

void Follower::Start() { Read(); }

void Follower::Ask(store::RangeRequest request, store::Callback<store::RangeResult> done) {
  store_->Range(std::move(request), [alive = std::weak_ptr(alive_), done = std::move(done)](
                                        absl::StatusOr<store::RangeResult> result) mutable {
    if (!alive.expired()) done(std::move(result));
  });
}

void Follower::AskForId(bool read_again, absl::AnyInvocable<void(bool is_another)> done) {
  Ask({{id_key_, ""}, 1, 0}, [this, read_again, done = std::move(done)](
                                 absl::StatusOr<store::RangeResult> result) mutable {
    if (!result.ok()) return Retry(result.status(), read_again);
    done(IsAnotherId(result->kvs.empty() ? "" : std::move(result->kvs[0].value)));
  });
}

// A cluster is given its first id by the first engine that leads; that is no other history.
bool Follower::IsAnotherId(std::string id) {
  const std::string former = std::exchange(id_, std::move(id));
  return !former.empty() && id_ != former;
}

// The id first: what is restored during the read is told by the next probe.
void Follower::Read() {
  complete_ = false;
  AskForId(/*read_again=*/true, [this](bool is_another) {
    other_history_ |= is_another;
    known_.clear();
    listener_->OnReadBegin();
    ReadPage(range_.key, 0);
  });
}

void Follower::ReadPage(std::string from_key, int64_t revision) {
  Ask({{std::move(from_key), range_.end}, kPageSize, revision},
      [this, revision](absl::StatusOr<store::RangeResult> page) {
        if (!page.ok()) return Retry(page.status(), /*read_again=*/true);
        const int64_t read_at = revision == 0 ? page->revision : revision;
        for (const store::KeyValue& kv : page->kvs) {
          // Another one than was asked for first: it was restored in between.
          if (kv.key == id_key_ && IsAnotherId(kv.value)) other_history_ = true;
          NotePut(kv);
          listener_->OnPut(kv);
        }
        if (!page->more || page->kvs.empty()) return OnRead(read_at);
        ReadPage(page->kvs.back().key + '\0', read_at);
      });
}

void Follower::OnRead(int64_t revision) {
  if (revision < revision_) other_history_ = true;
  if (other_history_) {
    log::Warning(
        "{} is not the one that was followed up to revision {}: it was restored or replaced, and "
        "has been read again at revision {}",
        what_, revision_, revision);
    listener_->OnOtherHistory();
    other_history_ = false;
  }
  revision_ = revision;
  complete_ = true;
  listener_->OnReached(revision_, /*read=*/true);
  Watch();
}

// Asks whether the store still has what was given before a watch is taken up again. A watch from a
// revision that a restored store has not reached yet would stay silent; in one that has overtaken
// it meanwhile it would go on as if nothing had happened.
void Follower::Probe() {
  AskForId(/*read_again=*/false, [this](bool is_another) {
    if (!is_another) return ProbeKnown(0);
    other_history_ = true;
    Read();
  });
}

void Follower::ProbeKnown(size_t index) {
  const std::string& key = index < known_.size() ? known_[index].key : range_.key;
  Ask({{key, ""}, 1, revision_}, [this, index](absl::StatusOr<store::RangeResult> result) {
    if (!result.ok()) return Retry(result.status(), absl::IsOutOfRange(result.status()));
    if (result->revision < revision_) {
      other_history_ = true;
      return Read();
    }
    if (index < known_.size()) {
      const int64_t found = result->kvs.empty() ? 0 : result->kvs[0].mod_revision;
      if (found != known_[index].mod_revision) {
        other_history_ = true;
        return Read();
      }
    }
    if (index + 1 < known_.size()) return ProbeKnown(index + 1);
    Watch();
  });
}

void Follower::NotePut(const store::KeyValue& kv) {
  if (known_.empty() || kv.mod_revision >= known_[0].mod_revision) {
    known_.assign({{kv.key, kv.mod_revision}});
  }
}

void Follower::NoteDelete(const store::KeyValue& kv) {
  std::erase_if(known_,
                [&](const Known& known) { return known.mod_revision == 0 || known.key == kv.key; });
  known_.push_back({kv.key, 0});
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
      if (event.kv.key == id_key_) id_ = event.kv.value;
      listener_->OnPut(event.kv);
    } else {
      NoteDelete(event.kv);
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
