#include "client/streams.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "nlohmann/json.hpp"

namespace fleet::client {
namespace {

using nlohmann::json;

constexpr absl::Duration kKeepAliveInterval = absl::Seconds(15);

std::optional<WatchEvent> ToEvent(const SseEvent& sse) {
  using Kind = WatchEvent::Kind;
  WatchEvent event;
  if (!ReadNumber(sse.id, event.revision)) event.revision = 0;
  const json data = json::parse(sse.data, nullptr, false);
  if (!data.is_object()) return std::nullopt;
  if (sse.event == "unit") {
    event.kind = Kind::kUnit;
    event.unit = UnitFromJson(data);
  } else if (sse.event == "state") {
    event.kind = Kind::kState;
    event.state = StateFromJson(data);
  } else if (sse.event == "machine") {
    event.kind = Kind::kMachine;
    event.machine = MachineFromJson(data);
  } else if (sse.event == "sync") {
    event.kind = Kind::kSync;
    if (data.contains("revision")) event.revision = NumberAt(data, "revision");
  } else if (sse.event == "unit-removed") {
    event.kind = Kind::kUnitRemoved;
  } else if (sse.event == "state-removed") {
    event.kind = Kind::kStateRemoved;
  } else if (sse.event == "machine-removed") {
    event.kind = Kind::kMachineRemoved;
  } else {
    return std::nullopt;  // of a newer server
  }
  event.name = StringAt(data, "name");
  event.machine_id = StringAt(data, "machineID");
  if (event.machine_id.empty()) event.machine_id = StringAt(data, "id");
  return event;
}

}  // namespace

SseStream::SseStream(std::unique_ptr<HttpConnection> connection)
    : connection_(std::move(connection)), last_heard_(MonotonicNow()) {}

absl::StatusOr<std::optional<SseEvent>> SseStream::Next(absl::Time deadline) {
  while (pending_.empty()) {
    const absl::Time silent = last_heard_ + 3 * kKeepAliveInterval;
    auto bytes = connection_->ReadSome(std::min(deadline, silent));
    if (absl::IsDeadlineExceeded(bytes.status())) {
      if (MonotonicNow() < silent) return std::nullopt;
      return absl::UnavailableError("the server has gone silent");
    }
    RETURN_IF_ERROR(bytes.status());
    if (!*bytes) return absl::UnavailableError("the server ended the stream");
    last_heard_ = MonotonicNow();
    pending_ = parser_.Feed(**bytes);
    std::reverse(pending_.begin(), pending_.end());
  }
  SseEvent event = std::move(pending_.back());
  pending_.pop_back();
  return event;
}

absl::StatusOr<std::optional<WatchEvent>> WatchStream::Next(absl::Time deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto sse, stream_.Next(deadline));
    if (!sse) return std::nullopt;
    if (auto event = ToEvent(*sse)) return event;
  }
}

Event EventFromJson(const json& data) {
  return {.id = StringAt(data, "id"),
          .time = StringAt(data, "time"),
          .kind = StringAt(data, "kind"),
          .unit = StringAt(data, "unit"),
          .machine_id = StringAt(data, "machineID"),
          .reason = StringAt(data, "reason"),
          .json = ""};
}

absl::StatusOr<std::optional<Event>> EventStream::Next(absl::Time deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(auto sse, stream_.Next(deadline));
    if (!sse) return std::nullopt;
    if (!sse->id.empty()) resume_ = sse->id;
    const json data = json::parse(sse->data, nullptr, false);
    if (sse->event != "event" || !data.is_object()) continue;  // of a newer server
    Event event = EventFromJson(data);
    event.json = std::move(sse->data);
    return event;
  }
}

absl::StatusOr<std::optional<JournalEntry>> JournalStream::Next(absl::Time deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(auto sse, stream_.Next(deadline));
    if (!sse) return std::nullopt;
    if (sse->event == "end") return absl::OutOfRangeError("the end of the journal");
    const json data = json::parse(sse->data, nullptr, false);
    if (sse->event == "failed" && data.is_object()) {
      return absl::DataLossError(StringAt(data, "reason"));
    }
    if (sse->event != "entry" || !data.is_object()) continue;  // of a newer server
    cursor_ = sse->id;
    return JournalEntry{.time = StringAt(data, "time"),
                        .unit = StringAt(data, "unit"),
                        .machine_id = StringAt(data, "machineID"),
                        .identifier = StringAt(data, "identifier"),
                        .pid = NumberAt(data, "pid"),
                        .priority = data.contains("priority") ? NumberAt(data, "priority") : 6,
                        .message = StringAt(data, "message"),
                        .json = std::move(sse->data)};
  }
}

}  // namespace fleet::client
