#pragma once

// A client of /watch that believes what it is told: checks each message, and keeps the units as the
// stream describes them.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "api/http.h"
#include "fuzz/check.h"
#include "nlohmann/json.hpp"

namespace fleet::fuzz {

class Watcher final : public api::EventSink {
 public:
  // EventSink
  void Send(std::shared_ptr<const std::string> bytes) override {
    if (closed_) return;
    for (std::string_view rest = *bytes; !rest.empty();) {
      Check(rest.find("\n\n") != std::string_view::npos, "messages are sent whole", *bytes);
      const auto [message, more] = SplitAt(rest, "\n\n");
      Read(message);
      rest = more;
    }
  }
  size_t QueuedBytes() const override { return 0; }
  bool closed() const override { return closed_; }
  void DiscardQueued() override {}
  void Close() override { closed_ = true; }
  void Finish() override { closed_ = true; }
  void OnDrained(absl::AnyInvocable<void()> drained) override { drained_ = std::move(drained); }

  // The network takes what was sent. True if somebody waited for that.
  bool Drain() {
    auto drained = std::exchange(drained_, nullptr);
    if (drained) drained();
    return drained != nullptr;
  }

  // Whether it was told of everything from the beginning, and of all units since.
  bool complete() const { return synced_ && !resumed_ && !closed_; }
  const std::map<std::string, nlohmann::json>& units() const { return units_; }

 private:
  void Read(std::string_view message) {
    if (message == ":") return;  // a heartbeat
    std::map<std::string, std::string, std::less<>> fields;
    for (std::string_view rest = message; !rest.empty();) {
      const auto [line, more] = SplitAt(rest, "\n");
      const auto [name, value] = SplitAt(line, ": ");
      Check(fields.emplace(name, value).second, "a message has each field once",
            std::string(message));
      rest = more;
    }
    Check(fields.size() == 3 && fields.contains("id") && fields.contains("event"),
          "a message has id, event and data", std::string(message));
    const auto data = nlohmann::json::parse(fields["data"], nullptr, /*allow_exceptions=*/false);
    Check(data.is_object(), "data is JSON", std::string(message));
    const std::string& event = fields["event"];
    if (event == "sync") {
      Check(!synced_, "a stream is in sync once", std::string(message));
      synced_ = true;
      resumed_ = data.contains("resumed");
    } else if (event == "unit") {
      units_.insert_or_assign(data.at("name").get<std::string>(), data);
    } else if (event == "unit-removed") {
      units_.erase(data.at("name").get<std::string>());
    }
  }

  bool closed_ = false;
  bool synced_ = false;
  bool resumed_ = false;
  std::map<std::string, nlohmann::json> units_;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace fleet::fuzz
