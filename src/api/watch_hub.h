#pragma once

// Server-sent events of units, states and machines: one stream of changes of the view, fanned out
// to many clients. Changes are gathered for a few milliseconds, each touched entity is written as
// JSON once, and clients without filters share the bytes.
//
// The `id` of a message is a revision up to which its client has been told everything once it has
// read that message, so `since=` with the last id loses nothing. What a resuming client missed is
// known as a bounded log of touched entities, not of messages: it gets their present state.
//
// Lives in the API loop.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "api/assignment_counts.h"
#include "api/http.h"
#include "api/stream_clients.h"
#include "api/touched.h"
#include "base/executor.h"
#include "model/cluster_view.h"

namespace fleet::api {

struct WatchFilter {
  bool units = true;
  bool states = true;
  bool machines = true;
  std::vector<std::string> unit_globs;  // none: all units
};

struct WatchLimits {
  // Changes are gathered for so long: the more clients there are, the longer, since what a change
  // costs is a write for each client.
  absl::Duration gather = absl::Milliseconds(10);
  absl::Duration gather_per_client = absl::Microseconds(50);
  absl::Duration gather_at_most = absl::Milliseconds(50);
  size_t remembered = 10'000;               // touched entities
  size_t snapshot_chunk_bytes = 256 << 10;  // of the present entities, sent as they are taken
  StreamLimits streams;
};

class WatchHub {
 public:
  // `counts` and `executor` outlive the hub.
  WatchHub(Executor* executor, const AssignmentCounts* counts, WatchLimits limits = {});
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Each step of the view, in order.
  void OnViewChange(const ViewChange& change);

  // Whether what has changed since this revision can be told. REQUIRES: there has been a view.
  bool Remembers(int64_t revision) const;

  // REQUIRES: there has been a view. With `since` that is still remembered: a `sync`, then what
  // changed after it. Otherwise the present entities, then a `sync`.
  void AddClient(std::shared_ptr<EventSink> sink, WatchFilter filter, std::optional<int64_t> since);

  size_t clients() const { return clients_.size(); }

 private:
  struct Client;
  using ClientPtr = std::shared_ptr<Client>;

  void ScheduleFlush();
  void Flush();
  void FlushNow();
  void Remember(int64_t revision, const std::set<Touched>& entities);
  void StepSnapshot(const ClientPtr& client);
  void EndSnapshot(const ClientPtr& client);
  void SendTouched(Client& client, const std::set<Touched>& entities, int64_t before,
                   int64_t after);
  std::string EventOf(const ClusterView& view, const Touched& entity) const;

  Executor* const executor_;
  const AssignmentCounts* const counts_;
  const WatchLimits limits_;
  ClusterViewPtr view_;
  TouchedSet pending_;
  int64_t flushed_ = 0;  // everything up to this revision has been sent and remembered
  absl::Time last_flush_ = absl::InfinitePast();
  Executor::TimerId flush_timer_ = 0;
  std::deque<std::pair<int64_t, Touched>> log_;
  int64_t forgotten_ = 0;  // the log is complete after this revision
  StreamClients<Client> clients_;
  std::shared_ptr<bool> alive_;  // expires with the hub
};

}  // namespace fleet::api
