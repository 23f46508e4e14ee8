#pragma once

// This machine's record, machines/<id>: put under the agent's lease, taken over from an earlier
// boot or lease of the same installation, never from another machine with the same id.
//
// Belongs to the machine loop, the store bound to it.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "model/records.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::agent {

class Membership {
 public:
  // `on_joined` is called each time the record is in place under a lease that it was not under
  // before in this process.
  Membership(store::Store* store, Executor* executor, registry::Keys keys, std::string machine_id,
             MachineRecord record, absl::AnyInvocable<void()> on_joined);
  ~Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  void OnLease(store::LeaseId lease);
  void OnLeaseLost();

  // Changes the record, at once if joined. `done` (may be empty) when it is stored.
  void Update(MachineRecord record, absl::AnyInvocable<void()> done);

  const MachineRecord& record() const { return record_; }
  store::LeaseId lease() const { return lease_; }
  // Of the record as it was put last; whatever compares it is void after the next Update().
  int64_t mod_revision() const { return mod_revision_; }
  bool joined() const { return joined_; }
  // OK when joined; else why not, for the API's 503 and the log. Begins with
  // "fleet server unable to communicate with etcd" only where the API puts it there.
  const absl::Status& status() const { return status_; }

 private:
  void Join();
  void OnOwnRecord(store::RangeResult result);
  void Put(int64_t mod_revision, bool delete_states, store::LeaseId former_lease);
  void TryAgain(const absl::Status& why);

  store::Store* const store_;
  Executor* const executor_;
  const registry::Keys keys_;
  const std::string machine_id_;
  MachineRecord record_;
  absl::AnyInvocable<void()> on_joined_;
  std::vector<absl::AnyInvocable<void()>> on_updated_;
  store::LeaseId lease_ = 0;
  int64_t mod_revision_ = 0;
  bool joined_ = false;
  bool busy_ = false;   // a request is on its way
  bool again_ = false;  // the record or the lease changed meanwhile
  absl::Status status_ = absl::UnavailableError("no lease yet");
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::agent
