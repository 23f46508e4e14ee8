#pragma once

// How far a command has come: one line on stderr that is written anew, for people at a terminal.

#include <string_view>

#include "fleetctl/session.h"

namespace fleet::fleetctl {

class Progress {
 public:
  explicit Progress(Session& session) : session_(session) {}
  // As Clear().
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Nothing unless Session::shows_progress().
  void Show(std::string_view line);
  // Before anything else is printed.
  void Clear();

 private:
  Session& session_;
  bool shown_ = false;
};

}  // namespace fleet::fleetctl
