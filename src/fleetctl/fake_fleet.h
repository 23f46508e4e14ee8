#pragma once

// For tests: a cluster behind a FakeServer that does at once what it is told, and fleetctl run
// against it in this process.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/fake_server.h"
#include "fleetctl/command.h"
#include "nlohmann/json.hpp"

namespace fleet::fleetctl {

struct Result {
  int code = 0;
  std::string out;
  std::string err;
};

class FakeFleet {
 public:
  static constexpr std::string_view kMachine = "8be9f57e6f3f4a07a4a4a5c2a4b6a7f1";

  FakeFleet();
  ~FakeFleet();

  // Entities by name; what batches change and everything else reads. Changed before Run() only.
  std::map<std::string, nlohmann::json> units;
  nlohmann::json states = nlohmann::json::array();
  nlohmann::json machines;  // in the state "absent": listed where that is asked for
  // What PATCH /machines has changed, as GET /backup shows it; by machine.
  std::map<std::string, nlohmann::json> settings;
  // Answers of GET /units/NAME/explain, by unit; 404 for others.
  std::map<std::string, nlohmann::json> explanations;
  // The answer of POST /plan and POST /rebalance; an object with "error" is answered with its code.
  nlohmann::json plan;
  // The answers of GET /rollouts/NAME, by unit: the first is given once, the last again and again.
  std::map<std::string, std::vector<nlohmann::json>> rollouts;
  std::string absent_machine = "none";  // the one that may be forgotten
  // Answers of GET /machines/ID/drain, one after the other; the last one is kept.
  std::vector<nlohmann::json> drains;
  std::map<std::string, std::vector<nlohmann::json>> drains_of;  // the same of single machines
  bool refuses_drains = false;
  std::vector<std::string> machine_posts;  // paths of POST /machines/ID/… after that, bodies behind
  // A stream of them ends behind them, and is not opened anew behind one of them.
  nlohmann::json events = nlohmann::json::array();
  // Entries of GET /units/NAME/journal, by unit; 409 for others.
  std::map<std::string, std::vector<nlohmann::json>> journals;
  std::map<std::string, std::string> unreadable_journals;  // which break off behind those, and why
  nlohmann::json features = nlohmann::json::array();       // in GET /features
  bool holds = false;                                      // until POST /hold/release
  std::vector<std::string> unreadable;                     // in GET /backup
  std::map<std::string, std::string> refused;              // units that batches refuse, and why
  int batches_until_503 = -1;                              // then each is answered 503; -1: none
  // Called with each unit that a batch has changed: for units that fail, wait, hang …
  std::function<void(nlohmann::json& unit)> after_change;
  // Sent after the sync of each watch.
  std::vector<std::string> later_events;
  // Asked first about each request; what it answers is the answer.
  std::function<std::optional<client::FakeResponse>(const client::FakeRequest&)> answers_first;
  // Watches that are closed before their sync, to begin with.
  int broken_watches = 0;

  // Adds a registered unit.
  void Add(const std::string& name, const std::string& desired, const std::string& content = "");

  Result Run(const std::vector<std::string>& arguments, const std::string& input = "");
  // What fleetctl runs with against this fleet, for those that run it by themselves.
  Environment EnvironmentOf(std::istream& in, std::ostream& out, std::ostream& err) const;
  // What a watch begins with, to its sync.
  std::vector<std::string> Snapshot() const;
  // The changes of the batches so far.
  std::vector<nlohmann::json> Changes() const;
  // The bodies of POST /units/NAME/scale, /units/NAME/rollout and /rollouts/NAME/… so far, each
  // with its path; null of DELETE /units/NAME/scale, which scales to the unit's "replicas".
  std::vector<std::pair<std::string, nlohmann::json>> RolloutRequests() const;
  // The bodies of POST /plan and of POST /rebalance so far, each with its path.
  std::vector<std::pair<std::string, nlohmann::json>> PlanRequests() const;
  // A directory of this fleet's own, for unit files; ends with a slash.
  const std::string& directory() const { return directory_; }
  std::string Write(const std::string& name, const std::string& content) const;
  std::map<std::string, std::string> variables;
  std::string local_machine_id;
  bool err_terminal = false;  // stderr is one

 private:
  client::FakeResponse Handle(const client::FakeRequest& request);
  client::FakeResponse Batch(const nlohmann::json& body);
  client::FakeResponse Watch();
  client::FakeResponse Backup() const;
  client::FakeResponse Plan(const std::string& path, const nlohmann::json& body);
  client::FakeResponse Journal(const std::string& name, const std::string& target) const;
  client::FakeResponse Scale(const std::string& unit, const nlohmann::json& body);
  client::FakeResponse Rollout(const std::string& path, const client::FakeRequest& request);
  client::FakeResponse Patch(const nlohmann::json& operations);

  std::string directory_;
  std::vector<nlohmann::json> changes_;
  std::vector<std::pair<std::string, nlohmann::json>> plan_requests_;
  std::vector<std::pair<std::string, nlohmann::json>> rollout_requests_;
  std::unique_ptr<client::FakeServer> server_;
};

}  // namespace fleet::fleetctl
