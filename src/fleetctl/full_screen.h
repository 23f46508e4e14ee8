#pragma once

// The terminal while something draws on all of it: raw input, the alternate screen. Signals that
// end a program end it as a key does, so that the terminal is left as it was. One at a time.

#include <termios.h>

#include <array>
#include <csignal>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/descriptor.h"

namespace fleet::fleetctl {

enum class Key { kQuit, kUp, kDown, kPageUp, kPageDown, kHome, kEnd, kOther };

struct Press {
  Key key = Key::kOther;
  char letter = 0;  // of kOther
};

// The keys that bytes of a terminal stand for.
std::vector<Press> KeysOf(std::string_view bytes);

class FullScreen {
 public:
  // FAILED_PRECONDITION unless the standard input is a terminal.
  static absl::StatusOr<std::unique_ptr<FullScreen>> Open(std::ostream& out);
  // The terminal is as it was.
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  // Also takes in a new size of the terminal.
  void Measure();
  void Draw(const std::vector<std::string>& lines);

  // Waits for keys, for `wake` to become readable, for a new size or for `limit`. SIGHUP, SIGINT,
  // SIGQUIT and SIGTERM are Key::kQuit.
  std::vector<Press> Wait(int wake, absl::Duration limit);
  // The first of those signals that Wait() has met; 0: none.
  int signal() const { return signal_; }

 private:
  static constexpr std::array<int, 4> kEnding = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

  FullScreen(std::ostream& out, const termios& before);

  std::ostream& out_;
  termios before_;
  size_t rows_ = 24;
  size_t columns_ = 80;
  Descriptor signals_;       // what the handler writes can be read there
  Descriptor signals_told_;  // and is written there
  std::array<struct sigaction, kEnding.size()> handlers_before_{};
  int signal_ = 0;
};

}  // namespace fleet::fleetctl
