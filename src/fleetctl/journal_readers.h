#pragma once

// The journals of several units on several machines, read at once over the API: a connection and a
// thread for each. All calls from one thread.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/api_client.h"

namespace fleet::fleetctl {

class JournalReaders {
 public:
  struct Settings {
    int64_t lines = 10;
    bool follow = false;
  };
  struct Message {
    std::string unit;
    std::string machine_id;
    std::optional<client::JournalEntry> entry;  // unset: `error`
    absl::Status error;
  };

  JournalReaders(client::ClientOptions options, const Settings& settings);
  // Ends them all.
  ~JournalReaders();
  JournalReaders(const JournalReaders&) = delete;
  JournalReaders& operator=(const JournalReaders&) = delete;

  // Once for each pair; a second time does nothing.
  void Add(const std::string& unit, const std::string& machine_id);
  // Adds the units of those names and globs wherever they are, and wherever they come to.
  void AddWherever(std::vector<std::string> names, std::vector<std::string> globs);

  // The next that any of them has read; nullopt when all have ended.
  std::optional<Message> Take();

 private:
  void Read(const std::string& unit, const std::string& machine_id);
  void FollowPlacements(const std::vector<std::string>& names,
                        const std::vector<std::string>& globs);
  void Put(Message message);
  // False if everything ends.
  bool Pause();
  bool stopping();

  const client::ClientOptions options_;
  const Settings settings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  size_t running_ = 0;
  std::deque<Message> messages_;
  std::set<std::pair<std::string, std::string>> added_;
  std::vector<std::thread> threads_;
};

}  // namespace fleet::fleetctl
