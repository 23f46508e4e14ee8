#include "client/sse.h"

#include <utility>

namespace fleet::client {

std::vector<SseEvent> SseParser::Feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  rest_ += bytes;
  size_t begin = 0;
  for (;;) {
    const size_t end = rest_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string_view line = std::string_view(rest_).substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) {
      if (has_data_) {
        SseEvent next{current_.id, "", ""};
        events.push_back(std::exchange(current_, std::move(next)));
      }
      current_.event.clear();
      current_.data.clear();
      has_data_ = false;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == 0) continue;
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (field == "data") {
      if (has_data_) current_.data += '\n';
      current_.data += value;
      has_data_ = true;
    } else if (field == "event") {
      current_.event = std::string(value);
    } else if (field == "id") {
      current_.id = std::string(value);
    }
  }
  rest_.erase(0, begin);
  return events;
}

}  // namespace fleet::client
