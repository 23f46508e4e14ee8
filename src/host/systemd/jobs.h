#pragma once

// Which jobs are asked for, which wait for room, and how they ended. Pure bookkeeping, so that its
// races can be tested without systemd; SystemdBus does the talking.
//
// A job is named by its D-Bus path, known from the reply to StartUnit or StopUnit. Its end is the
// signal JobRemoved, which may arrive before that reply; and two requests may share one job.

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "host/host.h"

namespace fleet::host {

struct JobRequest {
  enum class Kind { kStart, kStop };
  Kind kind = Kind::kStart;
  std::string unit;
  JobCallback done;
};

class Jobs {
 public:
  // At most `total` jobs in flight, at most `starts` of them when a start is to be sent, so that
  // units that are slow to start never keep others from being stopped. 0: no limit.
  void SetWindow(size_t starts, size_t total);

  // Puts a request in the queue. A stop of a unit overtakes starts that wait, and ends those of the
  // same unit: their callbacks are returned, to be told "canceled", as systemd would have it.
  std::vector<JobCallback> Add(JobRequest request);

  // The next request that may be sent, if there is one. It is in flight from here on, and ends with
  // exactly one of Failed(), Queued() with a result, or a callback out of the functions below.
  std::optional<JobRequest> Next();

  // The call could not be sent or was refused.
  void Failed();
  // The reply came. If the job has already ended: the callback and the job's result.
  std::optional<std::pair<JobCallback, std::string>> Queued(const std::string& job,
                                                            JobCallback done);
  // JobRemoved. The callbacks of all who waited for it.
  std::vector<JobCallback> Removed(const std::string& job, const std::string& result);

  // The jobs whose end is awaited.
  std::vector<std::string> Running() const;
  // Those of `expected` that are still awaited although systemd does not have them any more.
  std::vector<JobCallback> TakeLost(const std::vector<std::string>& expected,
                                    const absl::flat_hash_set<std::string>& existing);
  // The connection is gone: everything that waits for a job's end or in the queue. Requests whose
  // reply is outstanding are not among them, their calls fail by themselves.
  std::vector<JobCallback> TakeAll();

 private:
  std::vector<JobCallback> Take(const std::string& job);

  size_t start_window_ = 0;
  size_t window_ = 0;
  size_t in_flight_ = 0;
  size_t awaiting_reply_ = 0;
  std::deque<JobRequest> starts_;
  std::deque<JobRequest> stops_;
  absl::flat_hash_map<std::string, std::vector<JobCallback>> running_;
  // Results of jobs that ended while some reply was outstanding: it may have been that one's.
  absl::flat_hash_map<std::string, std::string> early_;
};

}  // namespace fleet::host
