#pragma once

// Journal entries of several units as lines that people read.

#include <map>
#include <string>
#include <string_view>

#include "client/streams.h"

namespace fleet::fleetctl {

class LogLines {
 public:
  // `format`: cat (messages alone), json (an object a line), yaml (a document each) or text, which
  // any other one stands for. Colours go with text only.
  LogLines(std::string_view format, bool colour) : format_(format), colour_(colour) {}

  // A unit on a machine whose label is not to be wider than what was printed before.
  void Expect(const std::string& unit, const std::string& machine_id);

  // One line or, of a message of several, more; each with its end.
  std::string Render(const client::JournalEntry& entry);

 private:
  std::string format_;
  bool colour_;
  size_t width_ = 0;
  std::map<std::string, size_t> colours_;  // by label, in the order they came
};

}  // namespace fleet::fleetctl
