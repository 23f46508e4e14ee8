#pragma once

// journalctl for one unit, whose lines somebody reads as they come: a process of its own, so that
// neither its memory nor a journal that takes its time are fleetd's.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/descriptor.h"

namespace fleet::host {

struct JournalQuery {
  std::string unit;   // a valid unit name: journalctl takes patterns
  bool user = false;  // of the user's own manager
  int64_t lines = 10;
  bool follow = false;
  std::string after;  // a cursor: what comes behind it, however many lines
};

class JournalProcess {
 public:
  // UNAVAILABLE if it cannot be started. `program` is replaced in tests.
  static absl::StatusOr<std::unique_ptr<JournalProcess>> Start(
      const JournalQuery& query, const std::string& program = "journalctl");
  // Ends it.
  ~JournalProcess();
  JournalProcess(const JournalProcess&) = delete;
  JournalProcess& operator=(const JournalProcess&) = delete;

  // Lines of --output=json come out of it.
  int descriptor() const { return output_.get(); }

  // OK if it has ended with success, UNAVAILABLE and how if it has not; nullopt as long as it runs.
  std::optional<absl::Status> Ended();

 private:
  JournalProcess(pid_t pid, Descriptor output) : pid_(pid), output_(std::move(output)) {}

  pid_t pid_;
  Descriptor output_;
  std::optional<absl::Status> ended_;  // then the pid is another one's
};

}  // namespace fleet::host
