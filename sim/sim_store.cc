#include "sim/sim_store.h"

#include <deque>
#include <utility>

namespace fleet::sim {

// A request on its way. Its answer comes once; afterwards it is of no interest.
template <typename T>
struct SimStore::Call : std::enable_shared_from_this<SimStore::Call<T>> {
  store::Callback<T> done;
  Process::Handle process;
  bool answered = false;

  void Answer(absl::StatusOr<T> result) {
    if (std::exchange(answered, true)) return;
    std::exchange(done, nullptr)(std::move(result));
  }
};

SimStore::SimStore(const StoreWorld* world, Client client, Link* link, Process* process)
    : world_(world), client_(std::move(client)), link_(link), process_(process) {}

template <typename T>
void SimStore::Request(std::function<absl::StatusOr<T>()> serve, store::Callback<T> done,
                       bool lose_answer, bool twice, absl::Duration late) {
  auto call = std::make_shared<Call<T>>();
  call->done = std::move(done);
  call->process = process_->handle();
  Link* const link = link_;
  const auto give_up = [call, queue = world_->queue, timeout = world_->request_timeout] {
    queue->After(timeout, [call] {
      Process::Enter(call->process, [call] {
        call->Answer(absl::DeadlineExceededError("etcd has not answered in time"));
      });
    });
  };
  auto at_etcd = [call, serve = std::move(serve), link, give_up, lose_answer, etcd = world_->etcd,
                  incarnation = world_->etcd->incarnation()]() {
    if (incarnation != etcd->incarnation()) return give_up();
    absl::StatusOr<T> result = etcd->down() ? absl::UnavailableError("etcd is down") : serve();
    if (lose_answer && result.ok()) return give_up();
    auto back = [call, result = std::move(result)]() mutable {
      Process::Enter(call->process, [call, result = std::move(result)]() mutable {
        call->Answer(std::move(result));
      });
    };
    if (!link->Send(Direction::kFromEtcd, std::move(back))) give_up();
  };
  if (late > absl::ZeroDuration()) {
    give_up();
    world_->queue->After(world_->request_timeout + late, at_etcd);
    return;
  }
  if (twice) link->Send(Direction::kToEtcd, at_etcd);
  if (!link->Send(Direction::kToEtcd, at_etcd)) give_up();
}

void SimStore::Range(store::RangeRequest request, store::Callback<store::RangeResult> done) {
  Request<store::RangeResult>(
      [world = world_, client = client_,
       request = std::move(request)]() -> absl::StatusOr<store::RangeResult> {
        auto result = world->etcd->Range(request);
        if (result.ok() && world->tamper != nullptr) {
          world->tamper->OnRange(client, request, *result);
        }
        return result;
      },
      std::move(done), false, false, absl::ZeroDuration());
}

void SimStore::Commit(store::Txn txn, store::Callback<store::TxnResult> done) {
  const StoreFaults& faults = *world_->faults;
  Random& random = *world_->random;
  const bool dies = faults.kill_at_commit > 0 && client_.role != Client::Role::kUser &&
                    random.Chance(faults.kill_at_commit);
  if (dies && random.Chance(0.5)) throw Killed();
  const bool lost = faults.lose_answer > 0 && random.Chance(faults.lose_answer);
  const bool twice = faults.send_twice > 0 && random.Chance(faults.send_twice);
  const bool is_late = faults.commit_late > 0 && random.Chance(faults.commit_late);
  const absl::Duration late =
      is_late ? random.Between(absl::Milliseconds(1), absl::Seconds(8)) : absl::ZeroDuration();
  if (world_->tamper != nullptr) world_->tamper->OnCommit(client_, txn);
  Request<store::TxnResult>(
      [world = world_, client = client_,
       txn = std::move(txn)]() -> absl::StatusOr<store::TxnResult> {
        if (world->tamper != nullptr && world->tamper->PretendsToCommit(client)) {
          return store::TxnResult{true, world->etcd->revision()};
        }
        return world->etcd->Commit(txn, client);
      },
      std::move(done), lost, twice, late);
  if (dies) throw Killed();
}

void SimStore::LeaseGrant(absl::Duration ttl, store::Callback<store::LeaseGrantResult> done) {
  Request<store::LeaseGrantResult>(
      [world = world_, ttl]() -> absl::StatusOr<store::LeaseGrantResult> {
        return world->etcd->Grant(ttl);
      },
      std::move(done), false, false, absl::ZeroDuration());
}

void SimStore::LeaseKeepAlive(store::LeaseId lease, store::Callback<absl::Duration> done) {
  Request<absl::Duration>([world = world_, lease] { return world->etcd->KeepAlive(lease); },
                          std::move(done), false, false, absl::ZeroDuration());
}

void SimStore::LeaseRevoke(store::LeaseId lease, store::DoneCallback done) {
  Request<bool>(
      [world = world_, lease]() -> absl::StatusOr<bool> {
        world->etcd->Revoke(lease);
        return true;
      },
      [done = std::move(done)](const absl::StatusOr<bool>& result) mutable {
        done(result.status());
      },
      false, false, absl::ZeroDuration());
}

// One end lives in the process, the other at etcd; what is under way is in `batches`, in order.
class SimStore::SimWatch final : public store::Watch {
 public:
  struct Stream {
    Process::Handle process;
    store::Callback<store::WatchBatch> on_batch;
    std::deque<absl::StatusOr<store::WatchBatch>> batches;
    Etcd::WatcherId watcher = 0;
    uint64_t on_lost = 0;
    bool ended = false;

    void Give(absl::StatusOr<store::WatchBatch> batch) {
      if (ended) return;
      ended = !batch.ok();
      on_batch(std::move(batch));  // may end the watch
    }
  };

  SimWatch(Etcd* etcd, Link* link, std::shared_ptr<Stream> stream)
      : etcd_(etcd), link_(link), stream_(std::move(stream)) {}
  ~SimWatch() override {
    stream_->ended = true;
    etcd_->RemoveWatcher(stream_->watcher);
    link_->Forget(stream_->on_lost);
  }

 private:
  Etcd* const etcd_;
  Link* const link_;
  const std::shared_ptr<Stream> stream_;
};

std::unique_ptr<store::Watch> SimStore::StartWatch(store::KeyRange range, int64_t from_revision,
                                                   store::Callback<store::WatchBatch> on_batch) {
  auto stream = std::make_shared<SimWatch::Stream>();
  stream->process = process_->handle();
  stream->on_batch = std::move(on_batch);
  // Whatever arrives next is the oldest of what is under way.
  const auto arrive = [stream] {
    Process::Enter(stream->process, [stream] {
      if (stream->batches.empty()) return;
      absl::StatusOr<store::WatchBatch> batch = std::move(stream->batches.front());
      stream->batches.pop_front();
      stream->Give(std::move(batch));
    });
  };
  const auto deliver = [world = world_, client = client_, link = link_, stream,
                        arrive](absl::StatusOr<store::WatchBatch> batch) {
    if (batch.ok() && world->tamper != nullptr) world->tamper->OnBatch(client, *batch);
    stream->batches.push_back(std::move(batch));
    const absl::Duration longest = world->faults->watch_delay;
    if (longest > absl::ZeroDuration()) {
      world->queue->After(world->random->Between(absl::ZeroDuration(), longest),
                          [link, arrive] { link->Send(Direction::kFromEtcd, arrive); });
    } else {
      link->Send(Direction::kFromEtcd, arrive);
    }
  };
  stream->on_lost = link_->OnLost([stream] {
    Process::Enter(stream->process, [stream] {
      stream->batches.clear();
      stream->Give(absl::UnavailableError("the connection to etcd is lost"));
    });
  });
  link_->Send(Direction::kToEtcd,
              [stream, deliver, range = std::move(range), from_revision, etcd = world_->etcd] {
                if (stream->ended) return;
                if (etcd->down()) return deliver(absl::UnavailableError("etcd is down"));
                stream->watcher = etcd->AddWatcher(range, from_revision, deliver);
              });
  return std::make_unique<SimWatch>(world_->etcd, link_, std::move(stream));
}

}  // namespace fleet::sim
