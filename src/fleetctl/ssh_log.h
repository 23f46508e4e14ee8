#pragma once

// What ssh itself has to say (its option -E), apart from what the far end writes to standard error:
// so a login that was refused is not taken for a command that ended with ssh's own exit status.

#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

namespace fleet::fleetctl {

// Reads in a thread of its own until Finish().
class SshLog {
 public:
  // Everything is also written to `echo` as it comes, unless that is null. Nobody else uses it
  // before Finish().
  explicit SshLog(std::ostream* echo);
  ~SshLog();
  SshLog(const SshLog&) = delete;
  SshLog& operator=(const SshLog&) = delete;

  // For ssh's -E. Empty if it could not be made: then ssh writes to standard error as ever.
  const std::string& path() const { return path_; }

  // What has come since the last call.
  std::string Take();

  // Ends the reading, when ssh has ended. The rest of what it said.
  std::string Finish();

 private:
  void Read();

  std::ostream* echo_;
  std::string path_;
  int read_end_ = -1;
  int write_end_ = -1;
  int stop_read_ = -1;
  int stop_write_ = -1;
  std::mutex mutex_;
  std::string text_;
  std::thread reader_;
};

// The lines of `log` in one, for a message.
std::string InOneLine(std::string_view log);

// "; is a key …" if the log says that a login was refused, else empty.
std::string_view LoginHint(std::string_view log);

}  // namespace fleet::fleetctl
