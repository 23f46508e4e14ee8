#pragma once

// Everything of one simulated run: etcd, machines, a user, the checker, and time.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/checker.h"
#include "sim/etcd.h"
#include "sim/event_queue.h"
#include "sim/machine.h"
#include "sim/random.h"
#include "sim/roller.h"
#include "sim/sim_store.h"
#include "sim/user.h"

namespace fleet::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  size_t machines = 0;  // 0: by the seed, 3 to 12
  size_t units = 0;     // 0: by the seed, 20 to 200
  Tamper* tamper = nullptr;
  std::function<void(const std::string&)> trace;  // may be empty
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Lets that much time pass.
  void Run(absl::Duration span);
  // The same, but false as soon as more than `steps` have been taken.
  bool RunWithin(absl::Duration span, uint64_t steps);

  EventQueue queue;
  Random random;
  StoreFaults store_faults;
  std::unique_ptr<Etcd> etcd;
  StoreWorld world;
  std::unique_ptr<Checker> checker;
  std::vector<std::unique_ptr<Machine>> machines;
  std::vector<std::unique_ptr<Machine>> duplicates;  // with the id of another one
  std::unique_ptr<User> user;
  std::unique_ptr<Roller> roller;  // in some of the runs
  bool calm = false;               // nothing is broken any more
  absl::Duration ttl;
  absl::Duration mass_loss_hold;
  absl::Duration rebalance_after;  // of quiet; zero: it does not rebalance by itself

  void Trace(const std::string& line);
  uint64_t trace_hash() const { return trace_hash_; }

  // The features that one of the versions before knows.
  static std::vector<std::string> OlderVersion(uint64_t which);

  // A machine with the id of another one, powered off.
  Machine& AddDuplicate(const Machine& original);
  std::vector<std::string> UnitsOn(const Machine& machine) const;

 private:
  std::map<std::string, MachineTruth> Truth() const;

  std::function<void(const std::string&)> trace_;
  uint64_t trace_hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace fleet::sim
