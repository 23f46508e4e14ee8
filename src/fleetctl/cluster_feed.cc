#include "fleetctl/cluster_feed.h"

#include <sys/eventfd.h>

#include <chrono>
#include <utility>

#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/concurrent.h"

namespace fleet::fleetctl {
namespace {

constexpr std::chrono::seconds kBeforeAgain(1);

}  // namespace

ClusterFeed::ClusterFeed(client::ClientOptions options)
    : options_(ForThreads(std::move(options))),
      changed_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watcher_([this] { Watch(); }),
      follower_([this] { FollowChanges(); }) {}

ClusterFeed::~ClusterFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  watcher_.join();
  follower_.join();
}

ClusterPicture ClusterFeed::picture() const {
  eventfd_t ignored = 0;
  eventfd_read(changed_.get(), &ignored);
  const std::lock_guard lock(mutex_);
  return picture_;
}

template <typename F>
void ClusterFeed::Update(F change) {
  {
    const std::lock_guard lock(mutex_);
    change(picture_);
  }
  eventfd_write(changed_.get(), 1);
}

bool ClusterFeed::Pause() {
  std::unique_lock lock(mutex_);
  return !stop_.wait_for(lock, kBeforeAgain, [&] { return stopping_; });
}

bool ClusterFeed::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void ClusterFeed::Watch() {
  client::ApiClient api(options_);
  do {
    const auto stream = api.Watch({.units = true, .machines = true});
    absl::Status ended = stream.status();
    // What there is comes first, and replaces what was known before only when it is complete.
    ClusterPicture fresh;
    bool synced = false;
    while (ended.ok() && !stopping()) {
      const auto event = (*stream)->Next(client::MonotonicNow() + kLook);
      ended = event.status();
      if (!event.ok() || !*event) continue;
      if (synced) {
        Update([&](ClusterPicture& picture) { picture.Apply(**event); });
        continue;
      }
      fresh.Apply(**event);
      if ((*event)->kind != client::WatchEvent::Kind::kSync) continue;
      synced = true;
      Update([&](ClusterPicture& picture) {
        picture.units = std::move(fresh.units);
        picture.machines = std::move(fresh.machines);
        picture.trouble.clear();
      });
    }
    Update([&](ClusterPicture& picture) { picture.trouble = std::string(MessageOf(ended)); });
  } while (Pause());
}

void ClusterFeed::FollowChanges() {
  client::ApiClient api(options_);
  std::string after;
  do {
    const auto stream = api.FollowEvents("", "", after);
    absl::Status ended = stream.status();
    while (ended.ok() && !stopping()) {
      auto event = (*stream)->Next(client::MonotonicNow() + kLook);
      ended = event.status();
      if (!event.ok() || !*event) continue;
      Update([&](ClusterPicture& picture) { picture.Add(**std::move(event)); });
    }
    if (stream.ok()) after = (*stream)->resume();
  } while (Pause());
}

}  // namespace fleet::fleetctl
