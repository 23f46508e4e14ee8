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
                       std::string machine_id, MachineRecord record,
                       absl::AnyInvocable<void()> on_joined)
    : store_(store),
      executor_(executor),
      keys_(std::move(keys)),
      machine_id_(std::move(machine_id)),
      record_(std::move(record)),
      on_joined_(std::move(on_joined)),
      alive_(std::make_shared<bool>(true)) {}

Membership::~Membership() {
  if (retry_ != 0) executor_->Cancel(retry_);
}

void Membership::OnLease(store::LeaseId lease) {
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

void Membership::OnOwnRecord(store::RangeResult result) {
  if (result.kvs.empty()) return Put(0, /*delete_states=*/false, 0);
  const store::KeyValue& kv = result.kvs[0];
  const auto found = registry::DecodeMachine(kv.value);
  if (found.ok() && found->token != record_.token) {
    TryAgain(absl::AlreadyExistsError(fmt::format(
        "another machine with the id {} is a member, at {} ({}); give one of the two an "
        "/etc/machine-id of its own",
        machine_id_, found->address, found->hostname)));
    return;
  }
  if (kv.lease == lease_ && found.ok() && found->boot_id == record_.boot_id) {
    return Put(kv.mod_revision, /*delete_states=*/false, 0);
  }
  // An earlier boot of this installation, or a lease whose end was not noticed.
  Put(kv.mod_revision, /*delete_states=*/true, kv.lease == lease_ ? 0 : kv.lease);
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
    if (!std::exchange(joined_, true)) {
      log::Info("machine {} is a member of the cluster", machine_id_);
      on_joined_();
    }
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
