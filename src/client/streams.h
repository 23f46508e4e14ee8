#pragma once

// The API's streams of server-sent events, as typed values. Each is independent of the client that
// opened it, and used by one thread. Deadlines are on MonotonicNow()'s clock.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/entities.h"
#include "client/http.h"
#include "client/sse.h"

namespace fleet::client {

class SseStream {
 public:
  // `connection` has had the head of its answer read.
  explicit SseStream(std::unique_ptr<HttpConnection> connection);

  // The next event, or nullopt when `deadline` passes first. UNAVAILABLE when the stream has ended
  // or nothing, not even a keep-alive comment, came for three times its interval.
  absl::StatusOr<std::optional<SseEvent>> Next(absl::Time deadline);

 private:
  std::unique_ptr<HttpConnection> connection_;
  SseParser parser_;
  std::vector<SseEvent> pending_;  // in reverse order
  absl::Time last_heard_;
};

struct WatchOptions {
  bool units = false;
  bool states = false;
  bool machines = false;
  // Filters for units and states; both empty: all. The server may send more when they are many.
  std::vector<std::string> names;
  std::vector<std::string> globs;
  std::optional<int64_t> since;
};

struct WatchEvent {
  enum class Kind {
    kUnit,
    kUnitRemoved,
    kState,
    kStateRemoved,
    kMachine,
    kMachineRemoved,
    kSync,
  };
  Kind kind = Kind::kSync;
  int64_t revision = 0;
  Unit unit;               // kUnit
  UnitState state;         // kState
  Machine machine;         // kMachine
  std::string name;        // of the unit in kUnitRemoved and kStateRemoved
  std::string machine_id;  // of kStateRemoved and kMachineRemoved
};

// GET /watch.
class WatchStream {
 public:
  explicit WatchStream(SseStream stream) : stream_(std::move(stream)) {}
  // As SseStream::Next().
  absl::StatusOr<std::optional<WatchEvent>> Next(absl::Time deadline);

 private:
  SseStream stream_;
};

// Something that the cluster did.
struct Event {
  std::string id;    // of the record that it is in; ids sort by time
  std::string time;  // RFC 3339, in UTC
  std::string kind;  // "placed", "moved", "stopped", …
  std::string unit;
  std::string machine_id;
  std::string reason;
  std::string json;  // the entity as it came, if asked for
};

Event EventFromJson(const nlohmann::json& json);

// GET /events?follow=true. The events have their `json`.
class EventStream {
 public:
  EventStream(SseStream stream, std::string after)
      : stream_(std::move(stream)), resume_(std::move(after)) {}
  // As SseStream::Next().
  absl::StatusOr<std::optional<Event>> Next(absl::Time deadline);
  // Where a stream goes on that is opened after this one: what has not been told whole is repeated.
  const std::string& resume() const { return resume_; }

 private:
  SseStream stream_;
  std::string resume_;
};

struct JournalOptions {
  std::string unit;
  std::string machine_id;  // empty: where the unit is
  int64_t lines = 10;
  bool follow = false;
  std::string after;  // a cursor: what comes behind it
};

struct JournalEntry {
  std::string time;  // RFC 3339 with microseconds, in UTC: sorts as text
  std::string unit;
  std::string machine_id;
  std::string identifier;
  int64_t pid = 0;
  int64_t priority = 6;  // syslog's; 3 and less are errors
  std::string message;
  std::string json;  // the entity as it came
};

// GET /units/NAME/journal.
class JournalStream {
 public:
  JournalStream(SseStream stream, std::string after)
      : stream_(std::move(stream)), cursor_(std::move(after)) {}
  // As SseStream::Next(); OUT_OF_RANGE at the end of a journal that is not followed, DATA_LOSS if
  // there is more that the machine cannot read.
  absl::StatusOr<std::optional<JournalEntry>> Next(absl::Time deadline);
  // Of the entry read last.
  const std::string& cursor() const { return cursor_; }

 private:
  SseStream stream_;
  std::string cursor_;
};

}  // namespace fleet::client
