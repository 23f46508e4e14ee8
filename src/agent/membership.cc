#include "agent/membership.h"

#include <utility>

#include "base/log.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::agent {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);

}  // namespace

Membership::Membership(store::Store* store, Executor* executor, registry::Keys keys,
                       std::string machine_id, MachineRecord record, bool was_member, Hooks hooks)
    : store_(store),
      executor_(executor),
      keys_(std::move(keys)),
      machine_id_(std::move(machine_id)),
      record_(std::move(record)),
      was_member_(was_member),
      hooks_(std::move(hooks)),
      alive_(std::make_shared<bool>(true)) {}

Membership::~Membership() {
  if (retry_ != 0) executor_->Cancel(retry_);
}

void Membership::OnLease(store::LeaseId lease, MachineRecord record) {
  record_ = std::move(record);
  lease_ = lease;
  joined_ = false;
  Join();
}

void Membership::OnLeaseLost() {
  lease_ = 0;
  joined_ = false;
  status_ = absl::UnavailableError("its lease has ended");
}

void Membership::Update(MachineRecord record, absl::AnyInvocable<void()> done) {
  record_ = std::move(record);
  if (done) on_updated_.push_back(std::move(done));
  Join();
}

void Membership::Join() {
  if (lease_ == 0) return;
  if (busy_) {
    again_ = true;
    return;
  }
  if (retry_ != 0) executor_->Cancel(std::exchange(retry_, 0));
  busy_ = true;
  again_ = false;
  store_->Range({{keys_.Machine(machine_id_), ""}, 1, 0},
                [this, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
                  if (alive.expired()) return;
                  busy_ = false;
                  if (!result.ok()) return TryAgain(result.status());
                  if (again_ || lease_ == 0) return Join();
                  OnOwnRecord(*std::move(result));
                });
}

// A change after our last one, or a record that is not ours as it was put last, is somebody else's:
// a copy of this machine, an operator, a registry that was emptied or restored.
void Membership::OnReached(int64_t /*revision*/, bool read) {
  if (!joined_) return;
  doubt_ |= read ? changed_at_ != mod_revision_ : changed_at_ > mod_revision_;
  if (doubt_) Verify();
}

void Membership::Verify() {
  if (busy_ || retry_ != 0) return;  // either ends in reading the record, or in putting it
  busy_ = true;
  doubt_ = false;
  store_->Range({{keys_.Machine(machine_id_), ""}, 1, 0},
                [this, alive = std::weak_ptr(alive_)](absl::StatusOr<store::RangeResult> result) {
                  if (alive.expired()) return;
                  busy_ = false;
                  if (!result.ok() || again_ || lease_ == 0) return Join();
                  const bool as_put = joined_ && !result->kvs.empty() &&
                                      result->kvs[0].mod_revision == mod_revision_;
                  if (!as_put) OnOwnRecord(*std::move(result));
                });
}

void Membership::Watch() {
  if (follower_ != nullptr) return;
  follower_ = std::make_unique<registry::Follower>(
      store_, executor_, keys_, store::KeyRange{keys_.Machine(machine_id_), ""},
      "this machine's record", static_cast<registry::Follower::Listener*>(this));
  follower_->Start();
}

void Membership::OnOwnRecord(store::RangeResult result) {
  if (result.kvs.empty()) {
    joined_ = false;
    return Put(0, /*delete_states=*/false, 0);
  }
  const store::KeyValue& kv = result.kvs[0];
  const auto found = registry::DecodeMachine(kv.value);
  if (found.ok() && found->token != record_.token) {
    joined_ = false;
    TryAgain(absl::AlreadyExistsError(fmt::format(
        "another machine with the id {} is a member, at {} ({}); give one of the two an "
        "/etc/machine-id of its own. If it was this machine, before its disk was emptied, it joins "
        "when the lease of then has ended",
        machine_id_, found->address, found->hostname)));
    return;
  }
  if (found.ok() && was_member_ && found->boot_id != record_.boot_id) {
    return OnCopy(*found, kv.lease);
  }
  if (kv.lease == lease_ && found.ok() && found->boot_id == record_.boot_id) {
    return Put(kv.mod_revision, /*delete_states=*/false, 0);
  }
  // An earlier boot of this installation, or a lease whose end was not noticed.
  joined_ = false;
  Put(kv.mod_revision, /*delete_states=*/true, kv.lease == lease_ ? 0 : kv.lease);
}

// This boot has been a member, so an earlier one has ended, and a later one cannot be yet.
void Membership::OnCopy(const MachineRecord& found, store::LeaseId lease) {
  joined_ = false;
  const bool shared = lease == lease_;
  TryAgain(absl::AlreadyExistsError(fmt::format(
      "a copy of this machine (the same id and the same installation of fleet) has joined in its "
      "place, at {} ({}); its units run on. On one of the two, remove /etc/machine-id and the file "
      "identity in state_directory, and start it anew",
      found.address, found.hostname)));
  if (shared && hooks_.on_lease_shared) hooks_.on_lease_shared();
}

void Membership::Put(int64_t mod_revision, bool delete_states, store::LeaseId former_lease) {
  store::Txn txn;
  txn.compares.push_back(
      {store::Compare::Target::kModRevision, keys_.Machine(machine_id_), mod_revision});
  txn.ops.emplace_back(store::Put{keys_.Machine(machine_id_), registry::Encode(record_), lease_});
  if (delete_states) txn.ops.emplace_back(store::Delete{keys_.StatesOf(machine_id_)});
  busy_ = true;
  store_->Commit(std::move(txn), [this, former_lease, alive = std::weak_ptr(alive_)](
                                     absl::StatusOr<store::TxnResult> result) {
    if (alive.expired()) return;
    busy_ = false;
    if (!result.ok()) return TryAgain(result.status());
    if (!result->succeeded || again_ || lease_ == 0) return Join();
    status_ = absl::OkStatus();
    mod_revision_ = result->revision;
    if (former_lease != 0) store_->LeaseRevoke(former_lease, [](const absl::Status&) {});
    was_member_ = true;
    if (!std::exchange(joined_, true)) {
      log::Info("machine {} is a member of the cluster", machine_id_);
      hooks_.on_joined();
    }
    Watch();
    if (std::exchange(doubt_, false) && changed_at_ != mod_revision_) Verify();
    for (auto& done : std::exchange(on_updated_, {})) done();
  });
}

void Membership::TryAgain(const absl::Status& why) {
  if (status_ != why) {
    log::Error("this machine cannot join the cluster: {}", std::string(why.message()));
  }
  status_ = why;
  if (lease_ == 0) return;
  retry_ = executor_->PostAfter(kRetryDelay, [this] {
    retry_ = 0;
    Join();
  });
}

}  // namespace fleet::agent
