#include "registry/unit_moves.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::registry {
namespace {

class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(store::Store* store, Keys keys, absl::AnyInvocable<void(UnitMovesResult)> done)
      : store_(store), keys_(std::move(keys)), done_(std::move(done)) {}

  void Start(const ClusterView& view, const std::vector<UnitMove>& moves) {
    Batch batch;
    for (const UnitMove& move : moves) {
      const auto* stored = view.units.Find(move.unit);
      if (stored == nullptr) {
        result_.skipped.push_back(move.unit);
        continue;
      }
      UnitRecord record = stored->value;
      record.move_to = move.machine;
      batch.push_back({.unit = move.unit,
                       .value = Encode(record),
                       .known = stored->mod_revision,
                       .writes = record != stored->value});
      if (batch.size() == store::kMaxTxnSize) queue_.push_back(std::exchange(batch, {}));
    }
    if (!batch.empty()) queue_.push_back(std::move(batch));
    Next();
  }

 private:
  struct Item {
    std::string unit;
    std::string value;
    int64_t known = 0;   // revision of the record that the move was decided on
    bool writes = true;  // false: the move has been asked for before
  };
  using Batch = std::vector<Item>;

  // One transaction at a time: they are few.
  void Next() {
    if (queue_.empty() || !result_.status.ok()) {
      std::sort(result_.skipped.begin(), result_.skipped.end());
      done_(std::move(result_));
      return;
    }
    Batch batch = std::move(queue_.front());
    queue_.pop_front();
    store::Txn txn;
    for (const Item& item : batch) {
      const std::string key = keys_.Unit(item.unit);
      txn.compares.push_back(
          {.target = store::Compare::Target::kModRevision, .key = key, .revision = item.known});
      if (item.writes) txn.ops.emplace_back(store::Put{.key = key, .value = item.value});
    }
    store_->Commit(std::move(txn), [self = shared_from_this(), batch = std::move(batch)](
                                       const absl::StatusOr<store::TxnResult>& result) {
      self->OnCommitted(batch, result);
    });
  }

  void OnCommitted(const Batch& batch, const absl::StatusOr<store::TxnResult>& result) {
    if (!result.ok()) {
      result_.status = absl::Status(result.status().code(),
                                    fmt::format("{} moves were stored, then: {}", stored_,
                                                std::string(result.status().message())));
    } else if (result->succeeded) {
      stored_ += batch.size();
      for (const Item& item : batch) {
        result_.revision = std::max(result_.revision, item.writes ? result->revision : item.known);
      }
    } else if (batch.size() == 1) {
      result_.skipped.push_back(batch[0].unit);
    } else {
      const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
      queue_.emplace_back(batch.begin(), middle);
      queue_.emplace_back(middle, batch.end());
    }
    Next();
  }

  store::Store* const store_;
  const Keys keys_;
  absl::AnyInvocable<void(UnitMovesResult)> done_;
  std::deque<Batch> queue_;
  size_t stored_ = 0;
  UnitMovesResult result_;
};

}  // namespace

void WriteUnitMoves(store::Store* store, const Keys& keys, const ClusterView& view,
                    const std::vector<UnitMove>& moves,
                    absl::AnyInvocable<void(UnitMovesResult)> done) {
  std::make_shared<Job>(store, keys, std::move(done))->Start(view, moves);
}

}  // namespace fleet::registry
