#pragma once

// The HTTP API's behaviour, without the network: requests in, responses out. Server (server.h)
// brings the requests.
//
// Lives in one loop, the API loop, which is its executor; it plans in a thread of its own. The
// store calls back there, and all its member functions are called there. Reads are answered from
// the newest view; a write is answered when the view shows it.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "api/http.h"
#include "api/planning.h"
#include "api/stream_io.h"
#include "api/watch_hub.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "model/cluster_view.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::api {

struct ApiContext {
  Executor* executor = nullptr;
  store::Store* store = nullptr;  // bound to `executor`
  registry::Keys keys{"/fleet/"};
  std::string version;
  std::string machine_id;    // of the machine that serves this API
  size_t token_limit = 100;  // default page size
  // How long a write that is stored waits until the view shows it.
  absl::Duration view_timeout = absl::Seconds(10);
  // Why there is no view yet: which endpoints and why, or who else has this machine's id.
  std::function<std::string()> unavailable_cause;
  WatchLimits watch;
  // What explanations and plans go by; as the engine's.
  reconcile::EngineSettings settings;
  Planner planner;
  // For /metrics; null: nothing is counted, and there is no such route.
  metrics::Registry* metrics = nullptr;
  // Opens this machine's journal of a unit; not set where there is none.
  std::function<absl::StatusOr<std::unique_ptr<JournalReader>>(const JournalRequest&)> open_journal;
  StreamIo* streams = nullptr;  // the server's; null: no journals
};

struct ApiState;

class Api final : public RequestHandler {
 public:
  // What the context points to outlives this object.
  explicit Api(ApiContext context);
  ~Api() override;
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Each step of the mirror, in order. Before the first, requests that need the cluster's state are
  // answered 503.
  void OnViewChange(const ViewChange& change);

  // Whether the registry is heard from, and why not. While it is not, answers carry a Warning
  // header that says so, and /readyz is 503.
  void OnRegistryHealth(const absl::Status& health);

  void Handle(Request request, Responder respond) override;
  void OnRefused(std::string_view method, std::string_view target, int code) override;
  size_t MaxBody(std::string_view method, std::string_view target) const override;

  // What is served: methods and the patterns of their paths.
  std::vector<std::pair<std::string, std::string>> Methods() const;

 private:
  std::unique_ptr<ApiState> state_;
};

}  // namespace fleet::api
