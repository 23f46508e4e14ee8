#pragma once

// Keeps a ClusterPicture as the API's streams have it, in threads of its own.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/descriptor.h"
#include "client/api_client.h"
#include "fleetctl/top_screen.h"

namespace fleet::fleetctl {

class ClusterFeed {
 public:
  explicit ClusterFeed(client::ClientOptions options);
  ~ClusterFeed();
  ClusterFeed(const ClusterFeed&) = delete;
  ClusterFeed& operator=(const ClusterFeed&) = delete;

  ClusterPicture picture() const;
  // Readable when the picture has changed since picture() was called last.
  int changed() const { return changed_.get(); }

 private:
  void Watch();
  void FollowChanges();
  // Changes the picture by `change(picture)`.
  template <typename F>
  void Update(F change);
  // False if everything ends.
  bool Pause();
  bool stopping() const;

  const client::ClientOptions options_;
  Descriptor changed_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  ClusterPicture picture_;
  std::thread watcher_;
  std::thread follower_;
};

}  // namespace fleet::fleetctl
