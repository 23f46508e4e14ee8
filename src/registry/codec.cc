#include "registry/codec.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <memory>
#include <utility>

#include "base/status.h"
#include "registry/records.pb.h"

namespace fleet::registry {

namespace {

template <typename Message>
absl::StatusOr<Message> ParseMessage(std::string_view bytes, const char* what) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(
        std::string("the stored value is not a ") + what +
        " record; it was written by something else or is damaged, and is ignored");
  }
  return message;
}

// What a newer version had put into the record, serialised.
std::string UnknownFields(const google::protobuf::Message& message) {
  std::string bytes;
  message.GetReflection()->GetUnknownFields(message).SerializeToString(&bytes);
  return bytes;
}

// Serialises `message` together with such fields.
std::string Serialize(const google::protobuf::Message& message, const std::string& unknown) {
  return message.SerializeAsString() + unknown;
}

std::vector<std::string> ToVector(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

template <typename Map>
std::map<std::string, std::string> ToMap(const Map& map) {
  return {map.begin(), map.end()};
}

}  // namespace

std::string Encode(const UnitRecord& record) {
  proto::Unit message;
  message.set_uid(record.uid);
  message.set_desired(static_cast<proto::DesiredState>(record.desired));
  message.set_content_hash(record.content_hash);
  message.set_restarts(record.restarts);
  message.set_starts(record.starts);
  message.set_refusal(record.refusal);
  message.set_nominated_machine(record.nominated_machine);
  message.set_move_to(record.move_to);
  for (const std::string& feature : record.features) message.add_features(feature);
  for (const FailedPlace& place : record.failed_on) {
    auto* added = message.add_failed_on();
    added->set_machine(place.machine);
    added->set_revision(place.revision);
    added->set_count(place.count);
  }
  if (record.replicas) message.set_replicas(*record.replicas);
  message.set_made_by_replicas(record.made_by_replicas);
  message.set_rollout(record.rollout);
  for (const std::string& hash : record.former_hashes) message.add_former_hashes(hash);
  return Serialize(message, record.unknown);
}

absl::StatusOr<UnitRecord> DecodeUnit(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Unit>(bytes, "unit"));
  if (!proto::DesiredState_IsValid(message.desired())) {
    return absl::DataLossError("the unit's desired state is not one that this version knows");
  }
  std::vector<FailedPlace> failed_on;
  for (const auto& place : message.failed_on()) {
    failed_on.push_back({place.machine(), place.revision(), place.count()});
  }
  return UnitRecord{
      .uid = message.uid(),
      .desired = static_cast<DesiredState>(message.desired()),
      .content_hash = message.content_hash(),
      .restarts = message.restarts(),
      .starts = message.starts(),
      .refusal = message.refusal(),
      .nominated_machine = message.nominated_machine(),
      .move_to = message.move_to(),
      .features = ToVector(message.features()),
      .failed_on = std::move(failed_on),
      .replicas = message.has_replicas() ? std::optional(message.replicas()) : std::nullopt,
      .made_by_replicas = message.made_by_replicas(),
      .rollout = message.rollout(),
      .former_hashes = ToVector(message.former_hashes()),
      .unknown = UnknownFields(message)};
}

std::string Encode(const Content& record) {
  proto::Content message;
  message.set_text(record.file->text());
  return message.SerializeAsString();
}

absl::StatusOr<Content> DecodeContent(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Content>(bytes, "content"));
  auto file = UnitFile::Parse(message.text());
  if (!file.ok()) return absl::DataLossError(file.status().message());
  return Content{std::make_shared<const UnitFile>(*std::move(file))};
}

std::string Encode(const MachineSettings& record) {
  proto::MachineSettings message;
  message.mutable_set_metadata()->insert(record.set_metadata.begin(), record.set_metadata.end());
  for (const std::string& key : record.removed_metadata) message.add_removed_metadata(key);
  message.set_forgotten(record.forgotten);
  message.set_cordoned(record.cordoned);
  message.set_drained(record.drained);
  if (record.drain_deadline != absl::InfiniteFuture()) {
    message.set_drain_deadline_unix_millis(absl::ToUnixMillis(record.drain_deadline));
  }
  message.set_drain_forces(record.drain_forces);
  message.set_drain_expired(record.drain_expired);
  message.set_lock_group(record.lock_group);
  message.set_lock_granted(record.lock_granted);
  if (record.lock_since != absl::InfinitePast()) {
    message.set_lock_since_unix_millis(absl::ToUnixMillis(record.lock_since));
  }
  if (record.lock_repeated != absl::InfinitePast()) {
    message.set_lock_repeated_unix_millis(absl::ToUnixMillis(record.lock_repeated));
  }
  return Serialize(message, record.unknown);
}

// Zero says that it was not said.
absl::Time TimeOr(int64_t unix_millis, absl::Time otherwise) {
  return unix_millis == 0 ? otherwise : absl::FromUnixMillis(unix_millis);
}

absl::StatusOr<MachineSettings> DecodeSettings(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::MachineSettings>(bytes, "settings"));
  return MachineSettings{
      .set_metadata = ToMap(message.set_metadata()),
      .removed_metadata = ToVector(message.removed_metadata()),
      .forgotten = message.forgotten(),
      .cordoned = message.cordoned(),
      .drained = message.drained(),
      .drain_deadline = TimeOr(message.drain_deadline_unix_millis(), absl::InfiniteFuture()),
      .drain_forces = message.drain_forces(),
      .drain_expired = message.drain_expired(),
      .lock_group = message.lock_group(),
      .lock_granted = message.lock_granted(),
      .lock_since = TimeOr(message.lock_since_unix_millis(), absl::InfinitePast()),
      .lock_repeated = TimeOr(message.lock_repeated_unix_millis(), absl::InfinitePast()),
      .unknown = UnknownFields(message)};
}

std::string Encode(const Assignment& record) {
  proto::Assignment message;
  message.set_uid(record.uid);
  message.set_generation(record.generation);
  message.set_content_hash(record.content_hash);
  message.set_state(static_cast<proto::AssignmentState>(record.state));
  message.set_restarts(record.restarts);
  message.set_starts(record.starts);
  message.set_next_machine(record.next_machine);
  return Serialize(message, record.unknown);
}

absl::StatusOr<Assignment> DecodeAssignment(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Assignment>(bytes, "assignment"));
  if (!proto::AssignmentState_IsValid(message.state())) {
    return absl::DataLossError("the assignment's state is not one that this version knows");
  }
  return Assignment{.uid = message.uid(),
                    .generation = message.generation(),
                    .content_hash = message.content_hash(),
                    .state = static_cast<AssignmentState>(message.state()),
                    .restarts = message.restarts(),
                    .starts = message.starts(),
                    .next_machine = message.next_machine(),
                    .unknown = UnknownFields(message)};
}

std::string Encode(const MachineRecord& record) {
  proto::Machine message;
  message.set_address(record.address);
  message.set_hostname(record.hostname);
  message.mutable_metadata()->insert(record.metadata.begin(), record.metadata.end());
  message.set_milli_cores(record.milli_cores);
  message.set_memory_bytes(record.memory_bytes);
  message.set_version(record.version);
  message.set_boot_id(record.boot_id);
  message.set_token(record.token);
  message.set_leaving(record.leaving);
  for (const std::string& endpoint : record.api_endpoints) message.add_api_endpoints(endpoint);
  message.set_systemd_user(record.systemd_user);
  message.set_ttl_millis(record.ttl_millis);
  for (const std::string& feature : record.features) message.add_features(feature);
  message.set_lock_id(record.lock_id);
  return Serialize(message, record.unknown);
}

absl::StatusOr<MachineRecord> DecodeMachine(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Machine>(bytes, "machine"));
  return MachineRecord{.address = message.address(),
                       .hostname = message.hostname(),
                       .metadata = ToMap(message.metadata()),
                       .milli_cores = message.milli_cores(),
                       .memory_bytes = message.memory_bytes(),
                       .version = message.version(),
                       .boot_id = message.boot_id(),
                       .token = message.token(),
                       .leaving = message.leaving(),
                       .api_endpoints = ToVector(message.api_endpoints()),
                       .systemd_user = message.systemd_user(),
                       .ttl_millis = message.ttl_millis(),
                       .features = ToVector(message.features()),
                       .lock_id = message.lock_id(),
                       .unknown = UnknownFields(message)};
}

std::string Encode(const StateReport& record) {
  proto::State message;
  message.set_uid(record.uid);
  message.set_generation(record.generation);
  message.set_content_hash(record.content_hash);
  message.set_load_state(record.load_state);
  message.set_active_state(record.active_state);
  message.set_sub_state(record.sub_state);
  message.set_gone(record.gone);
  message.set_settled(record.settled);
  message.set_result(record.result);
  message.set_log_tail(record.log_tail);
  message.set_drift(record.drift);
  return Serialize(message, record.unknown);
}

absl::StatusOr<StateReport> DecodeState(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::State>(bytes, "state"));
  return StateReport{.uid = message.uid(),
                     .generation = message.generation(),
                     .content_hash = message.content_hash(),
                     .load_state = message.load_state(),
                     .active_state = message.active_state(),
                     .sub_state = message.sub_state(),
                     .gone = message.gone(),
                     .settled = message.settled(),
                     .result = message.result(),
                     .log_tail = message.log_tail(),
                     .drift = message.drift(),
                     .unknown = UnknownFields(message)};
}

std::string Encode(const LeaderRecord& record) {
  proto::Leader message;
  message.set_machine(record.machine);
  message.set_epoch(record.epoch);
  return Serialize(message, record.unknown);
}

absl::StatusOr<LeaderRecord> DecodeLeader(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Leader>(bytes, "leader"));
  return LeaderRecord{
      .machine = message.machine(), .epoch = message.epoch(), .unknown = UnknownFields(message)};
}

std::string Encode(const HoldRecord& record) {
  proto::Hold message;
  message.set_reason(record.reason);
  message.set_released(record.released);
  return Serialize(message, record.unknown);
}

absl::StatusOr<HoldRecord> DecodeHold(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Hold>(bytes, "hold"));
  return HoldRecord{.reason = message.reason(),
                    .released = message.released(),
                    .unknown = UnknownFields(message)};
}

std::string Encode(const ClusterIdRecord& record) {
  proto::ClusterId message;
  message.set_id(record.id);
  return Serialize(message, record.unknown);
}

absl::StatusOr<ClusterIdRecord> DecodeClusterId(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::ClusterId>(bytes, "cluster id"));
  return ClusterIdRecord{.id = message.id(), .unknown = UnknownFields(message)};
}

std::string Encode(const FeaturesRecord& record) {
  proto::Features message;
  for (const std::string& feature : record.enabled) message.add_enabled(feature);
  return Serialize(message, record.unknown);
}

absl::StatusOr<FeaturesRecord> DecodeFeatures(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Features>(bytes, "features"));
  return FeaturesRecord{.enabled = ToVector(message.enabled()), .unknown = UnknownFields(message)};
}

std::string Encode(const RolloutRecord& record) {
  proto::Rollout message;
  message.set_uid(record.uid);
  message.set_state(static_cast<proto::RolloutState>(record.state));
  message.set_restarts(record.restarts);
  message.set_content_hash(record.content_hash);
  message.set_former_hash(record.former_hash);
  message.set_max_unavailable(record.max_unavailable);
  message.set_rolls_back(record.rolls_back);
  message.set_reason(record.reason);
  for (const FormerContent& former : record.history) {
    auto* added = message.add_history();
    added->set_content_hash(former.content_hash);
    added->set_since_unix_nanos(absl::ToUnixNanos(former.since));
    added->set_how(former.how);
  }
  for (const std::string& name : record.together) message.add_together(name);
  return Serialize(message, record.unknown);
}

absl::StatusOr<RolloutRecord> DecodeRollout(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Rollout>(bytes, "rollout"));
  if (!proto::RolloutState_IsValid(message.state())) {
    return absl::DataLossError("the rollout's state is not one that this version knows");
  }
  std::vector<FormerContent> history;
  for (const auto& former : message.history()) {
    history.push_back(
        {former.content_hash(), absl::FromUnixNanos(former.since_unix_nanos()), former.how()});
  }
  return RolloutRecord{.uid = message.uid(),
                       .state = static_cast<RolloutState>(message.state()),
                       .restarts = message.restarts(),
                       .content_hash = message.content_hash(),
                       .former_hash = message.former_hash(),
                       .max_unavailable = message.max_unavailable(),
                       .rolls_back = message.rolls_back(),
                       .reason = message.reason(),
                       .history = std::move(history),
                       .together = ToVector(message.together()),
                       .unknown = UnknownFields(message)};
}

std::string Encode(const EventRecord& record) {
  proto::Event message;
  message.set_unix_nanos(absl::ToUnixNanos(record.time));
  for (const EventEntry& entry : record.entries) {
    auto* added = message.add_entries();
    added->set_kind(entry.kind);
    added->set_unit(entry.unit);
    added->set_machine(entry.machine);
    added->set_reason(entry.reason);
  }
  return message.SerializeAsString();
}

absl::StatusOr<EventRecord> DecodeEvent(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, ParseMessage<proto::Event>(bytes, "event"));
  EventRecord record;
  record.time = absl::FromUnixNanos(message.unix_nanos());
  for (const auto& entry : message.entries()) {
    record.entries.push_back({entry.kind(), entry.unit(), entry.machine(), entry.reason()});
  }
  return record;
}

}  // namespace fleet::registry
