#include "host/systemd/jobs.h"

#include <algorithm>
#include <iterator>

namespace fleet::host {

void Jobs::SetWindow(size_t starts, size_t total) {
  start_window_ = starts;
  window_ = total;
}

std::vector<JobCallback> Jobs::Add(JobRequest request) {
  std::vector<JobCallback> cancelled;
  if (request.kind == JobRequest::Kind::kStart) {
    starts_.push_back(std::move(request));
    return cancelled;
  }
  // Without a window a start never waits, and the search would be over nothing.
  const auto kept =
      std::stable_partition(starts_.begin(), starts_.end(),
                            [&](const JobRequest& start) { return start.unit != request.unit; });
  std::transform(kept, starts_.end(), std::back_inserter(cancelled),
                 [](JobRequest& start) { return std::move(start.done); });
  starts_.erase(kept, starts_.end());
  stops_.push_back(std::move(request));
  return cancelled;
}

std::optional<JobRequest> Jobs::Next() {
  std::deque<JobRequest>* queue = nullptr;
  if (!stops_.empty() && (window_ == 0 || in_flight_ < window_)) {
    queue = &stops_;
  } else if (!starts_.empty() && stops_.empty() &&
             (start_window_ == 0 || in_flight_ < start_window_)) {
    queue = &starts_;
  }
  if (queue == nullptr) return std::nullopt;
  JobRequest request = std::move(queue->front());
  queue->pop_front();
  ++in_flight_;
  ++awaiting_reply_;
  return request;
}

void Jobs::Failed() {
  --in_flight_;
  if (--awaiting_reply_ == 0) early_.clear();
}

std::optional<std::pair<JobCallback, std::string>> Jobs::Queued(const std::string& job,
                                                                JobCallback done) {
  std::optional<std::pair<JobCallback, std::string>> ended;
  if (auto it = early_.find(job); it != early_.end()) {
    ended.emplace(std::move(done), it->second);
    --in_flight_;
  } else {
    running_[job].push_back(std::move(done));
  }
  if (--awaiting_reply_ == 0) early_.clear();
  return ended;
}

std::vector<JobCallback> Jobs::Removed(const std::string& job, const std::string& result) {
  // Kept even if somebody is known to wait for it: another reply under way may name the same job.
  if (awaiting_reply_ > 0) early_[job] = result;
  return Take(job);
}

std::vector<std::string> Jobs::Running() const {
  std::vector<std::string> jobs;
  jobs.reserve(running_.size());
  for (const auto& [job, callbacks] : running_) jobs.push_back(job);
  return jobs;
}

std::vector<JobCallback> Jobs::TakeLost(const std::vector<std::string>& expected,
                                        const absl::flat_hash_set<std::string>& existing) {
  std::vector<JobCallback> lost;
  for (const std::string& job : expected) {
    if (existing.contains(job)) continue;
    std::vector<JobCallback> taken = Take(job);
    std::move(taken.begin(), taken.end(), std::back_inserter(lost));
  }
  return lost;
}

std::vector<JobCallback> Jobs::TakeAll() {
  std::vector<JobCallback> all;
  for (auto& [job, callbacks] : running_) {
    in_flight_ -= callbacks.size();
    std::move(callbacks.begin(), callbacks.end(), std::back_inserter(all));
  }
  running_.clear();
  for (std::deque<JobRequest>* queue : {&stops_, &starts_}) {
    for (JobRequest& request : *queue) all.push_back(std::move(request.done));
    queue->clear();
  }
  return all;
}

std::vector<JobCallback> Jobs::Take(const std::string& job) {
  auto it = running_.find(job);
  if (it == running_.end()) return {};
  std::vector<JobCallback> callbacks = std::move(it->second);
  running_.erase(it);
  in_flight_ -= callbacks.size();
  return callbacks;
}

}  // namespace fleet::host
