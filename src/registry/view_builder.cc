#include "registry/view_builder.h"

#include <string>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "registry/codec.h"

namespace fleet::registry {

namespace {

template <typename T>
Stored<T> WithRevisions(T value, const store::KeyValue& kv) {
  return {std::move(value), kv.create_revision, kv.mod_revision};
}

}  // namespace

ViewBuilder::ViewBuilder(Keys keys) : keys_(std::move(keys)) {}

std::optional<Change> ViewBuilder::Put(const store::KeyValue& kv) {
  auto change = keys_.Parse(kv.key);
  if (!change) return std::nullopt;
  const std::string name = kv.key.substr(keys_.prefix().size());
  const absl::Status stored = Store(*change, kv);
  if (!stored.ok()) {
    log::Error("record {} at revision {} is skipped: {}", kv.key, kv.mod_revision,
               std::string(stored.message()));
    view_.unreadable.Set(name, kv.mod_revision);
  } else if (!view_.unreadable.empty()) {
    view_.unreadable.Erase(name);
  }
  return change;
}

std::optional<Change> ViewBuilder::Delete(const store::KeyValue& kv) {
  auto change = keys_.Parse(kv.key);
  if (!change) return std::nullopt;
  if (!view_.unreadable.empty()) view_.unreadable.Erase(kv.key.substr(keys_.prefix().size()));
  Erase(*change);
  return change;
}

absl::Status ViewBuilder::Store(const Change& change, const store::KeyValue& kv) {
  switch (change.record) {
    case Change::Record::kUnit: {
      ASSIGN_OR_RETURN(auto record, DecodeUnit(kv.value));
      view_.units.Set(change.name, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kContent: {
      // The same text is put again with each submit that refers to it.
      const auto* known = view_.contents.Find(change.name);
      if (known != nullptr) {
        view_.contents.Set(change.name, WithRevisions(known->value, kv));
        break;
      }
      ASSIGN_OR_RETURN(auto record, DecodeContent(kv.value));
      view_.contents.Set(change.name, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kSettings: {
      ASSIGN_OR_RETURN(auto record, DecodeSettings(kv.value));
      view_.settings.Set(change.name, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kAssignment: {
      ASSIGN_OR_RETURN(auto record, DecodeAssignment(kv.value));
      view_.assignments.Set({change.name, change.machine}, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kMachine: {
      ASSIGN_OR_RETURN(auto record, DecodeMachine(kv.value));
      view_.machines.Set(change.name, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kState: {
      ASSIGN_OR_RETURN(auto record, DecodeState(kv.value));
      view_.states.Set({change.name, change.machine}, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kRollout: {
      ASSIGN_OR_RETURN(auto record, DecodeRollout(kv.value));
      view_.rollouts.Set(change.name, WithRevisions(std::move(record), kv));
      break;
    }
    case Change::Record::kLeader: {
      ASSIGN_OR_RETURN(auto record, DecodeLeader(kv.value));
      view_.leader = WithRevisions(std::move(record), kv);
      break;
    }
    case Change::Record::kCluster:
      return StoreCluster(change.name, kv);
  }
  return absl::OkStatus();
}

absl::Status ViewBuilder::StoreCluster(const std::string& name, const store::KeyValue& kv) {
  if (name == "hold") {
    ASSIGN_OR_RETURN(auto record, DecodeHold(kv.value));
    view_.hold = WithRevisions(std::move(record), kv);
  } else if (name == "id") {
    ASSIGN_OR_RETURN(auto record, DecodeClusterId(kv.value));
    view_.cluster_id = WithRevisions(std::move(record), kv);
  } else {
    ASSIGN_OR_RETURN(auto record, DecodeFeatures(kv.value));
    view_.features = WithRevisions(std::move(record), kv);
  }
  return absl::OkStatus();
}

void ViewBuilder::Erase(const Change& change) {
  switch (change.record) {
    case Change::Record::kUnit:
      view_.units.Erase(change.name);
      break;
    case Change::Record::kContent:
      view_.contents.Erase(change.name);
      break;
    case Change::Record::kSettings:
      view_.settings.Erase(change.name);
      break;
    case Change::Record::kAssignment:
      view_.assignments.Erase(UnitOnMachine{change.name, change.machine});
      break;
    case Change::Record::kMachine:
      view_.machines.Erase(change.name);
      break;
    case Change::Record::kState:
      view_.states.Erase(UnitOnMachine{change.name, change.machine});
      break;
    case Change::Record::kRollout:
      view_.rollouts.Erase(change.name);
      break;
    case Change::Record::kLeader:
      view_.leader.reset();
      break;
    case Change::Record::kCluster:
      if (change.name == "hold") view_.hold.reset();
      if (change.name == "id") view_.cluster_id.reset();
      if (change.name == "features") view_.features.reset();
      break;
  }
}

void ViewBuilder::Clear() { view_ = ClusterView(); }

ClusterViewPtr ViewBuilder::Snapshot(int64_t revision) {
  view_.revision = revision;
  view_.Freeze();
  return std::make_shared<const ClusterView>(view_);
}

}  // namespace fleet::registry
