#pragma once

// Typed calls to the HTTP API (docs/api.md). Endpoints are tried in order, and the one that
// answered is kept; a connection is used again while the server keeps it open. Used by one thread.
//
// Errors: the server's message with the code that its HTTP status stands for (404 NOT_FOUND, 409
// FAILED_PRECONDITION, 503 UNAVAILABLE …). IsNotConnected() tells "no endpoint could be connected
// to", whose message names each endpoint with its error, from an answer.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/endpoint.h"
#include "client/entities.h"
#include "client/http.h"
#include "client/planning.h"
#include "client/sse.h"
#include "client/stream.h"

namespace fleet::client {

struct ClientOptions {
  std::vector<Endpoint> endpoints;
  absl::Duration request_timeout = absl::Seconds(3);
  TlsFiles tls;
  // How to reach an endpoint; Dial() when not set. (A tunnel sets it.)
  std::function<absl::StatusOr<std::unique_ptr<Stream>>(const Endpoint&, absl::Time deadline)> dial;
  // `dial` cannot tell whether there is somebody at the other end: a connection counts as made when
  // the server has answered a first, harmless request.
  bool probe = false;
  // Goes with the error that no endpoint could be connected to.
  std::string hint = "is fleetd running? --endpoint names where its API listens";
  // Called with what servers warn of besides their answers (that they may be old), once for each
  // kind.
  std::function<void(std::string_view)> warn;
  // Called with a line about each request; for --debug.
  std::function<void(std::string_view)> trace;
};

// One element of POST /batch. Members that are not set are not sent.
struct UnitChange {
  std::string name;
  std::string desired_state;
  std::optional<std::string> content;
  bool replace = false;
  bool force = false;
  bool restart = false;
  bool start = false;  // with launched: also where it has failed or run to its end
  bool stop = false;   // with loaded: also where systemd started it by itself
  bool destroy = false;
};

struct UnitResult {
  std::string name;
  int code = 0;  // as an HTTP status; below 300: done
  std::string message;
  bool differs = false;  // the stored text is another one, and stayed
  bool same = false;     // the stored text is the same
};

struct BatchAnswer {
  int64_t revision = 0;
  std::vector<UnitResult> results;  // in the order of the changes
};

// One operation of PATCH /machines.
struct MetadataChange {
  std::string machine_id;
  std::string key;
  std::optional<std::string> value;  // unset: remove
};

// Something that the cluster did.
struct Event {
  std::string id;    // of the record that it is in; ids sort by time
  std::string time;  // RFC 3339, in UTC
  std::string kind;  // "placed", "moved", "stopped", …
  std::string unit;
  std::string machine_id;
  std::string reason;
  std::string json;
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

// An open event stream; independent of the client that opened it.
class WatchStream {
 public:
  explicit WatchStream(std::unique_ptr<HttpConnection> connection);

  // The next event, or nullopt when `deadline` (MonotonicNow()'s clock) passes first.
  // UNAVAILABLE when the stream has ended or nothing, not even a keep-alive comment, came for
  // three times its interval.
  absl::StatusOr<std::optional<WatchEvent>> Next(absl::Time deadline);

 private:
  std::unique_ptr<HttpConnection> connection_;
  SseParser parser_;
  std::vector<SseEvent> pending_;  // in reverse order
  absl::Time last_heard_;
};

class ApiClient {
 public:
  explicit ApiClient(ClientOptions options);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  enum class View { kSummary, kFull };

  // `keep_json` fills the entities' `json`.
  absl::StatusOr<std::vector<Unit>> ListUnits(View view, bool keep_json = false);
  absl::StatusOr<std::vector<UnitState>> ListStates(const std::string& unit = "",
                                                    const std::string& machine = "",
                                                    bool keep_json = false);
  absl::StatusOr<std::vector<Machine>> ListMachines(bool keep_json = false);
  absl::StatusOr<Unit> GetUnit(const std::string& name, bool keep_json = false);

  // In requests of at most 10,000 changes and 32 MiB. An error means that changes from some request
  // on were not answered; the message says how many were.
  absl::StatusOr<BatchAnswer> Batch(const std::vector<UnitChange>& changes);

  // The document of GET /backup as it came.
  absl::StatusOr<std::string> GetBackup();

  // Why a unit is where it is; `each_machine` adds the verdict on each. NOT_FOUND if there is none.
  // This and the two below may take 30 s, or the timeout of requests if that is longer; unless
  // `patient`, only that.
  absl::StatusOr<UnitExplanation> Explain(const std::string& unit, bool each_machine,
                                          bool patient = true);

  // What would happen, and nothing does.
  absl::StatusOr<Plan> MakePlan(const PlanRequest& request);

  // Has running units moved so that the load is even; all moves are on their way. At most
  // `max_moves`.
  absl::StatusOr<Plan> Rebalance(std::optional<int64_t> max_moves);

  // What the cluster did, the oldest first; of one unit, of one machine, after the record of that
  // id, unless those are empty.
  absl::StatusOr<std::vector<Event>> ListEvents(const std::string& unit, const std::string& machine,
                                                const std::string& after, bool keep_json = false);

  // An absent machine, by its id or the beginning of one, is gone for good. NOT_FOUND if nothing is
  // known of it; an error if it is a member.
  absl::Status ForgetMachine(const std::string& machine);

  // Registers a unit that a machine runs and that is in no record.
  absl::Status AdoptUnit(const std::string& unit);

  // Ends the hold on missing machines. NOT_FOUND if there is none.
  absl::Status ReleaseHold();

  // In requests that are atomic, in the order of the changes. An error means that those from some
  // request on were not made.
  absl::Status PatchMetadata(const std::vector<MetadataChange>& changes);

  absl::StatusOr<std::unique_ptr<WatchStream>> Watch(const WatchOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

bool IsNotConnected(const absl::Status& status);

// Globs of at most `max_bytes` together that match at least `names`: for the `unit=` parameters of
// a watch on many units.
std::vector<std::string> CoverByGlobs(const std::vector<std::string>& names, size_t max_bytes);

}  // namespace fleet::client
