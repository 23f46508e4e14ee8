#pragma once

// Server-sent events (HTML standard, 9.2): text/event-stream bytes into events.

#include <string>
#include <string_view>
#include <vector>

namespace fleet::client {

struct SseEvent {
  std::string id;  // the last one seen, also in events that have none
  std::string event;
  std::string data;

  bool operator==(const SseEvent&) const = default;
};

class SseParser {
 public:
  // The events that `bytes` complete, in order. Comments and events without data are dropped.
  std::vector<SseEvent> Feed(std::string_view bytes);

 private:
  std::string rest_;  // an incomplete line
  SseEvent current_;
  bool has_data_ = false;
};

}  // namespace fleet::client
