#include "registry/unit_changes.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/features.h"
#include "model/following.h"
#include "model/requirements.h"
#include "registry/codec.h"

namespace fleet::registry {
namespace {

using Effect = UnitChangeResult::Effect;

constexpr size_t kMaxInFlight = 8;
constexpr int kMaxAttempts = 6;
// etcd takes 1.5 MiB a request; a unit file alone may have 1 MiB.
constexpr size_t kMaxTxnBytes = 1'000'000;
constexpr size_t kBytesPerUnit = 512;  // of its record and keys, roughly

// A unit's record as last known; no record: there is no such unit.
using Known = std::optional<Stored<UnitRecord>>;

// What one change means for the record it was decided on.
struct Decision {
  UnitChangeResult result;
  std::optional<UnitRecord> record;         // to be put
  std::shared_ptr<const UnitFile> content;  // to be put
  bool erase = false;
};

struct Item {
  UnitChange change;
  std::optional<UnitName> name;
  size_t round = 0;
  int attempts = 0;
  Known decided_on;
  Decision decision;
  UnitChangeResult result;
};

std::string Canonical(const UnitFile& file) {
  auto canonical = UnitFile::FromOptions(file.options());
  return canonical.ok() ? canonical->hash() : file.hash();
}

// The next rollout is to know which instances have had their text from the template.
void NoteFormerText(UnitRecord& record, const std::string& next) {
  constexpr size_t kMost = 10;
  auto& former = record.former_hashes;
  std::erase_if(
      former, [&](const std::string& hash) { return hash == next || hash == record.content_hash; });
  former.insert(former.begin(), record.content_hash);
  if (former.size() > kMost) former.resize(kMost);
}

absl::Status CheckChange(const UnitChange& change, const UnitName& name) {
  if (change.desired && *change.desired != DesiredState::kInactive && name.is_template()) {
    return absl::InvalidArgumentError(
        fmt::format("unit {} is a template and cannot be {}; name an instance of it", name.full(),
                    ToString(*change.desired)));
  }
  if (change.replicas &&
      (!name.is_template() || *change.replicas < 0 || *change.replicas > kMaxReplicas)) {
    return absl::InvalidArgumentError(
        fmt::format("unit {}: \"replicas\" is of a template, and a number from 0 to {}",
                    name.full(), kMaxReplicas));
  }
  if (change.resets_replicas && !name.is_template()) {
    return absl::InvalidArgumentError(fmt::format("{} is not a template", name.full()));
  }
  if (!change.file) return absl::OkStatus();
  RETURN_IF_ERROR(CheckForSubmit(*change.file, name, change.force));
  return ParseRequirements(*change.file, name).status();
}

// The changes of one call on their way; keeps itself alive through the callbacks it waits for.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(store::Store* store, Keys keys, ClusterViewPtr view, std::vector<UnitChange> changes,
      UnitChanger::Done done)
      : store_(store), keys_(std::move(keys)), view_(std::move(view)), done_(std::move(done)) {
    items_.reserve(changes.size());
    for (auto& change : changes) items_.push_back(Item{.change = std::move(change)});
  }

  void Start() {
    AssignRounds();
    NextRound();
  }

 private:
  // Changes of one unit follow each other, and an instance follows its template's submit if it is
  // made from it, or would be destroyed without it.
  void AssignRounds() {
    std::map<std::string, size_t> next_round;
    for (Item& item : items_) {
      auto name = UnitName::Parse(item.change.name);
      if (!name.ok()) {
        item.result.status = name.status();
        continue;
      }
      item.name = *std::move(name);
      item.result.status = CheckChange(item.change, *item.name);
      if (!item.result.status.ok()) continue;
      item.round = next_round[item.name->full()];
      if (item.name->is_instance() && (!item.change.file || item.change.made_by_replicas)) {
        if (auto it = next_round.find(item.name->TemplateName()); it != next_round.end()) {
          item.round = std::max(item.round, it->second);
        }
      }
      next_round[item.name->full()] = item.round + 1;
      rounds_ = std::max(rounds_, item.round + 1);
    }
  }

  void NextRound() {
    for (; round_ < rounds_ && queue_.empty(); ++round_) {
      std::vector<size_t> batch;
      for (size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].round == round_ && items_[i].result.status.ok()) batch.push_back(i);
      }
      for (const size_t i : batch) Decide(items_[i]);
      Pack(batch);
    }
    if (!queue_.empty()) {
      Pump();
      return;
    }
    std::vector<UnitChangeResult> results;
    results.reserve(items_.size());
    for (Item& item : items_) results.push_back(std::move(item.result));
    done_(std::move(results));
  }

  Known Current(const std::string& name) const {
    if (auto it = known_.find(name); it != known_.end()) return it->second;
    const auto* stored = view_->units.Find(name);
    return stored ? Known(*stored) : std::nullopt;
  }

  std::shared_ptr<const UnitFile> FileOf(const std::string& hash) const {
    if (auto it = files_.find(hash); it != files_.end()) return it->second;
    const auto* content = view_->contents.Find(hash);
    return content ? content->value.file : nullptr;
  }

  bool IsSame(const UnitChange& change, const std::string& stored_hash) const {
    if (change.file->hash() == stored_hash) return true;
    if (!change.from_options) return false;
    const auto stored = FileOf(stored_hash);
    return stored && Canonical(*stored) == change.file->hash();
  }

  void Decide(Item& item) {
    item.decided_on = Current(item.name->full());
    item.decision = !MeetsCondition(item) ? DecideUnmet(item)
                    : item.change.destroy ? DecideDestroy(item)
                    : item.decided_on     ? DecideExisting(item)
                                          : DecideNew(item);
  }

  // What is not there cannot be destroyed, whatever the condition.
  static bool MeetsCondition(const Item& item) {
    const Precondition& condition = item.change.condition;
    return !condition.IsSet() || (item.change.destroy && !item.decided_on) ||
           condition.Holds(item.decided_on ? std::optional(TagOf(item.decided_on->value))
                                           : std::nullopt);
  }

  // Verified like each decision: the transaction compares what it was made on.
  static Decision DecideUnmet(const Item& item) {
    Decision decision = Refuse(absl::FailedPreconditionError(
        item.decided_on ? fmt::format("unit {} is another than the request's condition asks for",
                                      item.name->full())
                        : fmt::format("unit {} does not exist", item.name->full())));
    decision.result.condition_failed = true;
    if (item.decided_on) decision.result.record = item.decided_on->value;
    return decision;
  }

  static Decision Refuse(absl::Status status) {
    Decision decision;
    decision.result.status = std::move(status);
    return decision;
  }

  static Decision DecideDestroy(const Item& item) {
    if (!item.decided_on) {
      return Refuse(absl::NotFoundError(fmt::format("unit {} does not exist", item.name->full())));
    }
    Decision decision;
    decision.erase = true;
    decision.result.effect = Effect::kDestroyed;
    return decision;
  }

  // A unit's text, as far as it is known: what this job stores counts. Null otherwise.
  std::shared_ptr<const UnitFile> TextOf(const std::string& unit) const {
    if (auto it = submitted_.find(unit); it != submitted_.end()) return it->second;
    const Known known = Current(unit);
    return known ? FileOf(known->value.content_hash) : nullptr;
  }

  // Checks a text that `item` is about to store.
  absl::Status CheckStored(const Item& item, const UnitFile& file) const {
    ASSIGN_OR_RETURN(const Requirements requirements, ParseRequirements(file, *item.name));
    return CheckFollows(*item.name, requirements,
                        [this](const std::string& unit) { return TextOf(unit); });
  }

  // What runs would be left alone, failures and drains included, until all machines know what its
  // text needs. REQUIRES a text that CheckStored() has accepted.
  absl::Status CheckNotTooEarly(const Item& item, const UnitFile& file) const {
    const std::string& unit = item.name->full();
    if (!InUnit(FirstOf(view_->assignments, unit), view_->assignments, unit)) {
      return absl::OkStatus();
    }
    return CheckTextEnabled(*view_, *ParseRequirements(file, *item.name), unit);
  }

  // REQUIRES a text that CheckStored() has accepted.
  static std::vector<std::string> FeaturesNeeded(const Item& item, const UnitFile& file) {
    return FeaturesOf(*ParseRequirements(file, *item.name));
  }

  Decision DecideNew(const Item& item) {
    const UnitChange& change = item.change;
    std::shared_ptr<const UnitFile> file = change.file;
    if (!file && !change.needs_file && item.name->is_instance()) {
      const Known made_from = Current(item.name->TemplateName());
      if (made_from) file = FileOf(made_from->value.content_hash);
    }
    if (!file) {
      return Refuse(absl::NotFoundError(
          fmt::format("unit {} does not exist{}", item.name->full(),
                      item.name->is_instance()
                          ? fmt::format(", nor does its template {}", item.name->TemplateName())
                          : std::string())));
    }
    if (auto status = CheckStored(item, *file); !status.ok()) return Refuse(std::move(status));
    submitted_[item.name->full()] = file;
    Decision decision;
    decision.record =
        UnitRecord{.uid = RandomId(),
                   .desired = change.restart ? DesiredState::kLaunched
                                             : change.desired.value_or(DesiredState::kInactive),
                   .content_hash = file->hash(),
                   .features = FeaturesNeeded(item, *file),
                   .replicas = change.replicas,
                   .made_by_replicas = change.made_by_replicas && item.name->is_instance()};
    decision.content = std::move(file);
    decision.result.effect = Effect::kCreated;
    return decision;
  }

  // Wherever it is assigned it was active when that was last reported. The agents, who know what is
  // so now, decide what a start means; this only spares them those that mean nothing.
  bool IsSurelyActive(const Item& item) const {
    const std::string& name = item.name->full();
    for (auto it = FirstOf(view_->assignments, name); InUnit(it, view_->assignments, name); ++it) {
      const Assignment& assignment = it->second.value;
      if (assignment.uid != item.decided_on->value.uid) continue;
      const auto* report = view_->states.Find(it->first);
      if (assignment.state != AssignmentState::kLaunched || report == nullptr ||
          report->value.generation != assignment.generation ||
          report->value.active_state != "active") {
        return false;
      }
    }
    return true;
  }

  Decision DecideExisting(const Item& item) {
    const UnitChange& change = item.change;
    UnitRecord record = item.decided_on->value;
    Decision decision;
    if (change.file) {
      decision.result.same = IsSame(change, record.content_hash);
      decision.result.differs = !decision.result.same;
      if (decision.result.differs && change.replace) {
        if (auto status = CheckStored(item, *change.file); !status.ok()) {
          return Refuse(std::move(status));
        }
        if (auto status = CheckNotTooEarly(item, *change.file); !status.ok()) {
          return Refuse(std::move(status));
        }
        submitted_[item.name->full()] = change.file;
        if (item.name->is_template()) NoteFormerText(record, change.file->hash());
        record.content_hash = change.file->hash();
        // They judge another text.
        record.refusal.clear();
        record.nominated_machine.clear();
        record.move_to.clear();
        record.failed_on.clear();
        record.features = FeaturesNeeded(item, *change.file);
        decision.content = change.file;
      } else if (decision.result.differs && change.refuse_if_differs) {
        return Refuse(absl::AlreadyExistsError(fmt::format(
            "unit {} already exists with differing options; destroy it first, or use ?replace=true",
            item.name->full())));
      }
    }
    if (change.restart && record.desired == DesiredState::kInactive) {
      return Refuse(absl::FailedPreconditionError(
          fmt::format("unit {} is inactive and cannot be restarted; start it", item.name->full())));
    }
    if (change.start && record.desired == DesiredState::kLaunched &&
        change.desired == DesiredState::kLaunched && !IsSurelyActive(item)) {
      ++record.starts;
    }
    if (change.stop && record.desired == DesiredState::kLoaded &&
        change.desired == DesiredState::kLoaded) {
      ++record.restarts;
    }
    if (change.desired) record.desired = *change.desired;
    if (change.replicas) {
      // The text that it has now, whatever the caller has seen.
      const auto file = TextOf(item.name->full());
      const auto requirements = file ? ParseRequirements(*file, *item.name) : Requirements();
      if (requirements.ok() && requirements->global) {
        return Refuse(absl::FailedPreconditionError(
            fmt::format("{} is global: it has one instance on each machine", item.name->full())));
      }
    }
    if (change.replicas || change.resets_replicas) record.replicas = change.replicas;
    if (change.restart) {
      record.desired = DesiredState::kLaunched;
      ++record.restarts;
    }
    if (record == item.decided_on->value) {
      decision.result.effect = Effect::kUnchanged;
    } else {
      decision.result.effect = Effect::kChanged;
      decision.record = std::move(record);
    }
    return decision;
  }

  // Puts the decided items into as few transactions as their sizes allow, onto the queue.
  void Pack(const std::vector<size_t>& batch) {
    std::vector<size_t> txn;
    std::set<std::string> contents;
    size_t ops = 0;
    size_t bytes = 0;
    for (const size_t i : batch) {
      const Decision& decision = items_[i].decision;
      bool new_content = decision.content && !contents.contains(decision.content->hash());
      const size_t unit_ops = decision.record || decision.erase ? 1 : 0;
      const size_t text_bytes = decision.content ? decision.content->text().size() : 0;
      if (txn.size() == store::kMaxTxnSize ||
          ops + unit_ops + (new_content ? 1U : 0U) > store::kMaxTxnSize ||
          (!txn.empty() && bytes + kBytesPerUnit + text_bytes > kMaxTxnBytes)) {
        queue_.push_back(std::exchange(txn, {}));
        contents.clear();
        ops = 0;
        bytes = 0;
        new_content = decision.content != nullptr;  // each transaction puts its own contents
      }
      txn.push_back(i);
      if (decision.content) contents.insert(decision.content->hash());
      ops += unit_ops + (new_content ? 1U : 0U);
      bytes += kBytesPerUnit + (new_content ? text_bytes : 0);
    }
    if (!txn.empty()) queue_.push_back(std::move(txn));
  }

  void Pump() {
    while (in_flight_ < kMaxInFlight && !queue_.empty()) {
      std::vector<size_t> batch = std::move(queue_.front());
      queue_.pop_front();
      ++in_flight_;
      store::Txn txn = MakeTxn(batch);
      store_->Commit(std::move(txn), [self = shared_from_this(), batch = std::move(batch)](
                                         absl::StatusOr<store::TxnResult> result) {
        self->OnCommitted(batch, std::move(result));
      });
    }
  }

  store::Txn MakeTxn(const std::vector<size_t>& batch) const {
    store::Txn txn;
    std::set<std::string> contents;
    for (const size_t i : batch) {
      const Item& item = items_[i];
      const std::string key = keys_.Unit(item.name->full());
      txn.compares.push_back({.target = store::Compare::Target::kModRevision,
                              .key = key,
                              .revision = item.decided_on ? item.decided_on->mod_revision : 0});
      const Decision& decision = item.decision;
      if (decision.content && contents.insert(decision.content->hash()).second) {
        txn.ops.emplace_back(store::Put{.key = keys_.Content(decision.content->hash()),
                                        .value = Encode(Content{.file = decision.content})});
      }
      if (decision.record) {
        txn.ops.emplace_back(store::Put{.key = key, .value = Encode(*decision.record)});
      }
      if (decision.erase) {
        txn.ops.emplace_back(store::Delete{.range = {.key = key, .end = ""}});
      }
    }
    return txn;
  }

  void OnCommitted(const std::vector<size_t>& batch, absl::StatusOr<store::TxnResult> result) {
    if (!result.ok()) {
      for (const size_t i : batch) items_[i].result.status = Explain(items_[i], result.status());
    } else if (result->succeeded) {
      for (const size_t i : batch) Succeed(items_[i], result->revision);
    } else if (batch.size() > 1) {
      const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
      queue_.emplace_back(batch.begin(), middle);
      queue_.emplace_back(middle, batch.end());
    } else {
      ReadAgain(batch[0]);
      return;
    }
    --in_flight_;
    Continue();
  }

  void Continue() {
    Pump();
    if (in_flight_ == 0) NextRound();
  }

  static absl::Status Explain(const Item& item, const absl::Status& status) {
    if (absl::IsDeadlineExceeded(status)) {
      return absl::DeadlineExceededError(
          fmt::format("the registry did not answer in time ({}): the change of unit {} may or may "
                      "not have been stored; look at the unit, then try again",
                      std::string(status.message()), item.name->full()));
    }
    return {status.code(), fmt::format("the change of unit {} was not stored: {}",
                                       item.name->full(), std::string(status.message()))};
  }

  void Succeed(Item& item, int64_t revision) {
    Decision& decision = item.decision;
    item.result = std::move(decision.result);
    if (decision.content) files_[decision.content->hash()] = decision.content;
    if (decision.record) {
      known_[item.name->full()] =
          Stored<UnitRecord>{.value = *decision.record, .mod_revision = revision};
      item.result.record = std::move(decision.record);
      item.result.revision = revision;
    } else if (decision.erase) {
      known_[item.name->full()] = std::nullopt;
      item.result.revision = revision;
    } else if (item.decided_on) {
      if (item.result.status.ok()) item.result.record = item.decided_on->value;
      item.result.revision = item.decided_on->mod_revision;
    }
  }

  void ReadAgain(size_t index) {
    Item& item = items_[index];
    if (++item.attempts == kMaxAttempts) {
      item.result.status = absl::AbortedError(fmt::format(
          "unit {} is being changed by others all the time; nothing was stored, try again",
          item.name->full()));
      --in_flight_;
      Continue();
      return;
    }
    store_->Range({.range = {.key = keys_.Unit(item.name->full()), .end = ""}},
                  [self = shared_from_this(), index](absl::StatusOr<store::RangeResult> result) {
                    self->OnReadAgain(index, std::move(result));
                  });
  }

  void OnReadAgain(size_t index, absl::StatusOr<store::RangeResult> result) {
    Item& item = items_[index];
    --in_flight_;
    absl::Status status = result.status();
    if (status.ok()) status = Remember(item, *result);
    if (status.ok()) {
      Decide(item);
      queue_.push_back({index});
    } else {
      // The commit before had no effect: this is an ordinary failure, whatever the read's outcome.
      item.result.status =
          absl::UnavailableError(fmt::format("the change of unit {} was not stored: {}",
                                             item.name->full(), std::string(status.message())));
    }
    Continue();
  }

  absl::Status Remember(const Item& item, const store::RangeResult& result) {
    if (result.kvs.empty()) {
      known_[item.name->full()] = std::nullopt;
      return absl::OkStatus();
    }
    const store::KeyValue& kv = result.kvs[0];
    ASSIGN_OR_RETURN(UnitRecord record, DecodeUnit(kv.value));
    known_[item.name->full()] = Stored<UnitRecord>{.value = std::move(record),
                                                   .create_revision = kv.create_revision,
                                                   .mod_revision = kv.mod_revision};
    return absl::OkStatus();
  }

  store::Store* store_;
  Keys keys_;
  ClusterViewPtr view_;
  UnitChanger::Done done_;
  std::vector<Item> items_;
  size_t round_ = 0;
  size_t rounds_ = 0;
  std::deque<std::vector<size_t>> queue_;  // transactions to be sent, as indexes of items
  size_t in_flight_ = 0;
  std::map<std::string, Known> known_;                                // newer than the view
  std::map<std::string, std::shared_ptr<const UnitFile>> files_;      // stored by this job, by hash
  std::map<std::string, std::shared_ptr<const UnitFile>> submitted_;  // by unit, also in flight
};

}  // namespace

UnitChanger::UnitChanger(store::Store* store, Keys keys) : store_(store), keys_(std::move(keys)) {}

void UnitChanger::Apply(ClusterViewPtr view, std::vector<UnitChange> changes, Done done) {
  std::make_shared<Job>(store_, keys_, std::move(view), std::move(changes), std::move(done))
      ->Start();
}

}  // namespace fleet::registry
