#pragma once

// The journals of several units on several machines, read at once over the API: a connection and a
// thread for each. All calls from one thread.

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
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

  // Once for each pair: a second time does nothing while it is being read. One that has ended, as
  // its machine had gone, goes on behind what was read of it.
  void Add(const std::string& unit, const std::string& machine_id);
  // Adds the units of those names and globs wherever they are, and wherever they come to. Once.
  void AddWherever(std::vector<std::string> names, std::vector<std::string> globs);

  // The next that any of them has read; nullopt when all have ended.
  std::optional<Message> Take();

 private:
  // Of a unit on a machine.
  struct Reader {
    std::thread thread;
    bool running = true;
    bool wanted = false;  // added again since it was last begun with
    bool told = false;    // why it cannot be read
    std::string cursor;   // of what was read last
  };

  void Read(const std::string& unit, const std::string& machine_id, Reader& reader);
  // Once, until something can be read again. The error that it ended with.
  absl::Status ReadOnce(client::ApiClient& api, const std::string& unit,
                        const std::string& machine_id, Reader& reader);
  // Whether a reader that ended with `why` begins again; if not, it is not running from then on.
  bool GoesOn(Reader& reader, const absl::Status& why);
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
  std::map<std::pair<std::string, std::string>, Reader> readers_;  // none is ever removed
  std::thread placements_;
};

}  // namespace fleet::fleetctl
