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
#include "client/rollouts.h"
#include "client/stream.h"
#include "client/streams.h"

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
  std::optional<int64_t> replicas;  // of a template
  bool made_by_replicas = false;    // of an instance that is made
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

class ApiCaller;

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
  // `absent`: also those that are away and of which something was set.
  absl::StatusOr<std::vector<Machine>> ListMachines(bool keep_json = false, bool absent = false);
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

  // Has the cluster keep instances 1 to `replicas` of a registered template.
  absl::StatusOr<ScaleAnswer> Scale(const std::string& template_name, int64_t replicas);
  // Has it keep as many as the template's text says.
  absl::StatusOr<ScaleAnswer> ResetScale(const std::string& template_name);

  // Begins to bring a new text, or a restart, to a template's instances, or to a unit.
  absl::StatusOr<Rollout> StartRollout(const std::string& unit, const RolloutRequest& request);
  // One rollout of several units and templates; the answer is that of the first of them.
  absl::StatusOr<Rollout> StartRollout(const std::vector<RolledUnit>& units,
                                       const RolloutRequest& request);
  absl::StatusOr<std::vector<Rollout>> ListRollouts();
  absl::StatusOr<Rollout> GetRollout(const std::string& unit);
  // Of a unit that has none; `history` as in a backup (JSON). FAILED_PRECONDITION if it
  // has one.
  absl::Status SetHistory(const std::string& unit, const std::string& history);
  // `verb` is pause, resume or undo; of undo, the beginning of a former text's hash or empty.
  absl::StatusOr<Rollout> ChangeRollout(const std::string& unit, const std::string& verb,
                                        const std::string& hash);

  // What the cluster did, the oldest first; of one unit, of one machine, after the record of that
  // id, unless those are empty.
  absl::StatusOr<std::vector<Event>> ListEvents(const std::string& unit, const std::string& machine,
                                                const std::string& after, bool keep_json = false);

  // The same as they happen, those that there are first.
  absl::StatusOr<std::unique_ptr<EventStream>> FollowEvents(const std::string& unit,
                                                            const std::string& machine,
                                                            const std::string& after);

  // An absent machine, by its id or the beginning of one, is gone for good. NOT_FOUND if nothing is
  // known of it; an error if it is a member.
  absl::Status ForgetMachine(const std::string& machine);

  // A machine, by its id or the beginning of one, takes nothing new; its units move away, too; it
  // takes units again. NOT_FOUND if nothing is known of it.
  absl::Status CordonMachine(const std::string& machine);
  absl::Status DrainMachine(const std::string& machine, const DrainRequest& request);
  absl::Status UncordonMachine(const std::string& machine);

  // What is left on a machine, and why.
  absl::StatusOr<Drain> GetDrain(const std::string& machine);

  // Registers a unit that a machine runs and that is in no record.
  absl::Status AdoptUnit(const std::string& unit);

  // Those that the server knows, and those that are enabled; by name.
  absl::StatusOr<std::vector<Feature>> ListFeatures();

  // Ends the hold on missing machines. NOT_FOUND if there is none.
  absl::Status ReleaseHold();

  // In requests that are atomic, in the order of the changes. An error means that those from some
  // request on were not made.
  absl::Status PatchMetadata(const std::vector<MetadataChange>& changes);

  absl::StatusOr<std::unique_ptr<JournalStream>> OpenJournal(const JournalOptions& options);

  absl::StatusOr<std::unique_ptr<WatchStream>> Watch(const WatchOptions& options);

 private:
  std::unique_ptr<ApiCaller> caller_;
};

bool IsNotConnected(const absl::Status& status);

// Globs of at most `max_bytes` together that match at least `names`: for the `unit=` parameters of
// a watch on many units.
std::vector<std::string> CoverByGlobs(const std::vector<std::string>& names, size_t max_bytes);

}  // namespace fleet::client
