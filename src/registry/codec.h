#pragma once

// Records to bytes (protobuf, records.proto) and back. Decode* give DATA_LOSS for bytes that are
// not such a record; the caller skips the record and reports it (it must harm nothing else).

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/records.h"

namespace fleet::registry {

std::string Encode(const UnitRecord& record);
std::string Encode(const Content& record);
std::string Encode(const MachineSettings& record);
std::string Encode(const Assignment& record);
std::string Encode(const MachineRecord& record);
std::string Encode(const StateReport& record);
std::string Encode(const LeaderRecord& record);
std::string Encode(const HoldRecord& record);
std::string Encode(const ClusterIdRecord& record);
std::string Encode(const FeaturesRecord& record);
std::string Encode(const RolloutRecord& record);
std::string Encode(const EventRecord& record);

absl::StatusOr<UnitRecord> DecodeUnit(std::string_view bytes);
// Also DATA_LOSS if the text is not a unit file.
absl::StatusOr<Content> DecodeContent(std::string_view bytes);
absl::StatusOr<MachineSettings> DecodeSettings(std::string_view bytes);
absl::StatusOr<Assignment> DecodeAssignment(std::string_view bytes);
absl::StatusOr<MachineRecord> DecodeMachine(std::string_view bytes);
absl::StatusOr<StateReport> DecodeState(std::string_view bytes);
absl::StatusOr<LeaderRecord> DecodeLeader(std::string_view bytes);
absl::StatusOr<HoldRecord> DecodeHold(std::string_view bytes);
absl::StatusOr<ClusterIdRecord> DecodeClusterId(std::string_view bytes);
absl::StatusOr<FeaturesRecord> DecodeFeatures(std::string_view bytes);
absl::StatusOr<RolloutRecord> DecodeRollout(std::string_view bytes);
absl::StatusOr<EventRecord> DecodeEvent(std::string_view bytes);

}  // namespace fleet::registry
