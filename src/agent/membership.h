#pragma once

// This machine's record, machines/<id>: put under the agent's lease, taken over from an earlier
// boot or lease of the same installation, never from another machine with the same id. It is
// watched: if it vanishes or is rewritten (an emptied or restored registry) it is put anew.
//
// A disk image copied to another machine, token and lease included, looks like a reboot to the
// copy, which takes the record over. The machine it was taken from then finds its own installation
// under another boot id while its boot still lasts: it does not take the record back, says so, and
// joins only when the record is gone. Its units run on.
//
// Belongs to the machine loop, the store bound to it.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "model/records.h"
#include "registry/follower.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::agent {

class Membership final : private registry::Follower::Listener {
 public:
  struct Hooks {
    // Each time the record is in place under a lease that it was not under before in this process,
    // or was put anew because it had vanished.
    absl::AnyInvocable<void()> on_joined;
    // A copy of this installation holds the same lease: it is to be left to it, and not renewed.
    // May be empty.
    absl::AnyInvocable<void()> on_lease_shared;
  };

  // `was_member`: this boot of the machine has joined before, in an earlier process.
  Membership(store::Store* store, Executor* executor, registry::Keys keys, std::string machine_id,
             MachineRecord record, bool was_member, Hooks hooks);
  ~Membership() override;
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  void OnLease(store::LeaseId lease) { OnLease(lease, record_); }
  // And with this record from now on.
  void OnLease(store::LeaseId lease, MachineRecord record);
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
  // registry::Follower::Listener, of this machine's record
  void OnReadBegin() override { changed_at_ = 0; }
  void OnPut(const store::KeyValue& kv) override { changed_at_ = kv.mod_revision; }
  void OnDelete(const store::KeyValue& kv) override { changed_at_ = kv.mod_revision; }
  void OnReached(int64_t revision, bool read) override;

  void Watch();
  void Verify();
  void Join();
  void OnOwnRecord(store::RangeResult result);
  void OnCopy(const MachineRecord& found, store::LeaseId lease);
  void Put(int64_t mod_revision, bool delete_states, store::LeaseId former_lease);
  void TryAgain(const absl::Status& why);

  store::Store* const store_;
  Executor* const executor_;
  const registry::Keys keys_;
  const std::string machine_id_;
  MachineRecord record_;
  bool was_member_;
  Hooks hooks_;
  std::vector<absl::AnyInvocable<void()>> on_updated_;
  store::LeaseId lease_ = 0;
  int64_t mod_revision_ = 0;
  int64_t changed_at_ = 0;  // revision of the last change of the record that the watch has told
  std::unique_ptr<registry::Follower> follower_;
  bool joined_ = false;
  bool busy_ = false;   // a request is on its way
  bool again_ = false;  // the record or the lease changed meanwhile
  bool doubt_ = false;  // the record may have been changed by somebody else meanwhile
  absl::Status status_ = absl::UnavailableError("no lease yet");
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::agent
