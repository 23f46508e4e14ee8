#include "reconcile/testing/cluster_model.h"

#include <cstdlib>
#include <utility>

#include "model/features.h"

namespace fleet::reconcile::testing {

std::string Text(const std::string& fleet_options) {
  const std::string text = "[Service]\nExecStart=/bin/sleep 1d\n";
  return fleet_options.empty() ? text : text + "[X-Fleet]\n" + fleet_options + "\n";
}

ClusterModel::ClusterModel() { EnableFeatures(KnownFeatures()); }

void ClusterModel::EnableFeatures(const std::vector<std::string>& features) {
  view_.features = Stored<FeaturesRecord>{
      .value = {.enabled = features}, .create_revision = revision_, .mod_revision = revision_};
  Note(Change::Record::kCluster, "features");
}

void ClusterModel::NameCluster(const std::string& id) {
  view_.cluster_id = Stored<ClusterIdRecord>{
      .value = {.id = id}, .create_revision = revision_, .mod_revision = revision_};
  Note(Change::Record::kCluster, "id");
}

void ClusterModel::PutMachineOfVersion(const std::string& id,
                                       const std::vector<std::string>& features) {
  SimulatedRegistry::PutMachine(id, MachineRecord{.version = "other", .features = features});
}

void ClusterModel::PutUnit(const std::string& name, const std::string& text, DesiredState desired) {
  const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(text));
  PutContent(file);
  const auto* before = view_.units.Find(name);
  UnitRecord record = before == nullptr ? UnitRecord{} : before->value;
  if (before == nullptr) record.uid = "uid" + std::to_string(++uids_);
  record.content_hash = file->hash();
  record.desired = desired;
  SimulatedRegistry::PutUnit(name, std::move(record));
}

void ClusterModel::SetDesired(const std::string& name, DesiredState desired) {
  UnitRecord record = Unit(name);
  record.desired = desired;
  SimulatedRegistry::PutUnit(name, std::move(record));
}

void ClusterModel::SetMoveTo(const std::string& name, const std::string& machine) {
  UnitRecord record = Unit(name);
  record.move_to = machine;
  SimulatedRegistry::PutUnit(name, std::move(record));
}

void ClusterModel::Restart(const std::string& name) {
  UnitRecord record = Unit(name);
  ++record.restarts;
  SimulatedRegistry::PutUnit(name, std::move(record));
}

void ClusterModel::PutUnreadableUnit(const std::string& name) {
  EraseUnit(name);
  view_.unreadable.Set("units/" + name, revision_);
}

void ClusterModel::PutMachine(const std::string& id, std::map<std::string, std::string> metadata,
                              bool leaving) {
  SimulatedRegistry::PutMachine(
      id, MachineRecord{
              .metadata = std::move(metadata), .leaving = leaving, .features = KnownFeatures()});
}

void ClusterModel::PutMachineOf(const std::string& id, int64_t cores, int64_t gib,
                                std::map<std::string, std::string> metadata) {
  SimulatedRegistry::PutMachine(id, MachineRecord{.metadata = std::move(metadata),
                                                  .milli_cores = cores * 1000,
                                                  .memory_bytes = gib << 30,
                                                  .features = KnownFeatures()});
}

void ClusterModel::PutUnreadable(const std::string& key) { view_.unreadable.Set(key, ++revision_); }

std::vector<std::string> ClusterModel::MachinesOf(const std::string& unit) const {
  std::vector<std::string> machines;
  for (auto it = FirstOf(view_.assignments, unit); InUnit(it, view_.assignments, unit); ++it) {
    if (it->second.value.state != AssignmentState::kGone) machines.push_back(it->first.machine);
  }
  return machines;
}

const Assignment* ClusterModel::AssignmentOf(const std::string& unit,
                                             const std::string& machine) const {
  const auto* stored = view_.assignments.Find(UnitOnMachine{unit, machine});
  return stored == nullptr ? nullptr : &stored->value;
}

const UnitRecord& ClusterModel::Unit(const std::string& unit) const {
  return view_.units.Find(unit)->value;
}

Cluster::Cluster(const EngineSettings& settings)
    : model_(std::make_unique<ClusterModel>()),
      simulation_(std::make_unique<Simulation>(model_.get(), settings)),
      model(*model_),
      engine(simulation_->engine),
      now(simulation_->now),
      events(simulation_->events) {
  engine.BeginLeading(now);
}

void Cluster::PassUntilIdle() {
  while (Pass() > 0) {
  }
}

void Cluster::Settle() {
  constexpr size_t kTurns = 200;
  if (!simulation_->Settle(kTurns)) std::abort();  // it does not come to rest (L2)
}

}  // namespace fleet::reconcile::testing
