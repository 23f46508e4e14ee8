#include "registry/codec.h"

#include <gtest/gtest.h>

#include <memory>

namespace fleet::registry {
namespace {

TEST(Codec, EveryFieldOfAUnitSurvives) {
  const UnitRecord record{.uid = "u",
                          .desired = DesiredState::kLaunched,
                          .content_hash = "h",
                          .restarts = 3,
                          .starts = 4,
                          .refusal = "no machine",
                          .nominated_machine = "m",
                          .move_to = "m2",
                          .features = {"reschedule"},
                          .failed_on = {{"m3", 17, 2}, {"m4", 18, 1}},
                          .replicas = 0,
                          .made_by_replicas = true,
                          .rollout = "r",
                          .former_hashes = {"g", "f"}};
  EXPECT_EQ(*DecodeUnit(Encode(record)), record);
}

TEST(Codec, EveryFieldOfAnAssignmentSurvives) {
  const Assignment record{.uid = "u",
                          .generation = 7,
                          .content_hash = "h",
                          .state = AssignmentState::kGone,
                          .restarts = 2,
                          .starts = 5,
                          .next_machine = "m2"};
  EXPECT_EQ(*DecodeAssignment(Encode(record)), record);
}

TEST(Codec, EveryFieldOfAMachineSurvives) {
  const MachineRecord record{.address = "10.0.0.1",
                             .hostname = "m1",
                             .metadata = {{"zone", "a"}},
                             .milli_cores = 2000,
                             .memory_bytes = 1 << 30,
                             .version = "2.0.0",
                             .boot_id = "b",
                             .token = "t",
                             .leaving = true,
                             .api_endpoints = {"http://10.0.0.1:49153"},
                             .systemd_user = "alice",
                             .ttl_millis = 12000,
                             .features = {"isolation", "reschedule"},
                             .lock_id = "c0ffee"};
  EXPECT_EQ(*DecodeMachine(Encode(record)), record);
}

TEST(Codec, EveryFieldOfAStateSurvives) {
  const StateReport record{.uid = "u",
                           .generation = 9,
                           .content_hash = "h",
                           .load_state = "loaded",
                           .active_state = "failed",
                           .sub_state = "failed",
                           .gone = true,
                           .settled = true,
                           .result = "exit-code",
                           .log_tail = "not UTF-8: \xff",
                           .drift = "masked"};
  EXPECT_EQ(*DecodeState(Encode(record)), record);
}

TEST(Codec, SettingsLeadersRecordsOfTheClusterAndEventsSurvive) {
  const MachineSettings settings{.set_metadata = {{"a", "1"}},
                                 .removed_metadata = {"b"},
                                 .forgotten = true,
                                 .cordoned = true,
                                 .drained = true,
                                 .drain_deadline = absl::FromUnixMillis(12345),
                                 .drain_forces = true,
                                 .drain_expired = true,
                                 .lock_group = "workers",
                                 .lock_granted = true,
                                 .lock_since = absl::FromUnixMillis(1'700'000'000'000),
                                 .lock_repeated = absl::FromUnixMillis(1'700'000'060'000)};
  EXPECT_EQ(*DecodeSettings(Encode(settings)), settings);
  const LeaderRecord leader{.machine = "m1", .epoch = "e"};
  EXPECT_EQ(*DecodeLeader(Encode(leader)), leader);
  const HoldRecord hold{.reason = "3 of 4 machines are missing", .released = true};
  EXPECT_EQ(*DecodeHold(Encode(hold)), hold);
  const ClusterIdRecord id{.id = "abc"};
  EXPECT_EQ(*DecodeClusterId(Encode(id)), id);
  const FeaturesRecord features{.enabled = {"isolation", "reschedule"}};
  EXPECT_EQ(*DecodeFeatures(Encode(features)), features);
  const EventRecord event{absl::FromUnixMillis(5), {{"placed", "a.service", "m1", "least loaded"}}};
  const auto read = DecodeEvent(Encode(event));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->time, event.time);
  EXPECT_EQ(read->entries, event.entries);
}

TEST(Codec, EveryFieldOfARolloutSurvives) {
  const RolloutRecord record{.uid = "r",
                             .state = RolloutState::kPaused,
                             .restarts = true,
                             .content_hash = "new",
                             .former_hash = "old",
                             .max_unavailable = "10%",
                             .rolls_back = true,
                             .reason = "web@3.service has failed",
                             .history = {{"old", absl::FromUnixSeconds(9), "update"}},
                             .together = {"a.service", "web@.service"}};
  EXPECT_EQ(*DecodeRollout(Encode(record)), record);
}

TEST(Codec, TheTextOfAUnitFileIsKeptByteForByte) {
  const std::string text = "# a comment\r\n[Service]\r\nExecStart=/bin/true \\\r\n  x\r\n\n";
  const Content content{std::make_shared<const UnitFile>(*UnitFile::Parse(text))};
  EXPECT_EQ(DecodeContent(Encode(content))->file->text(), text);
}

TEST(Codec, FieldsOfANewerVersionAreWrittenBack) {
  const std::string newer = Encode(UnitRecord{.uid = "u"}) + "\xfa\x07\x03new";  // field 127
  auto record = *DecodeUnit(newer);
  record.restarts = 1;
  const std::string written = Encode(record);
  EXPECT_NE(written.find("\xfa\x07\x03new"), std::string::npos);
  EXPECT_EQ(DecodeUnit(written)->restarts, 1);
}

TEST(Codec, BytesThatAreNoRecordAreDataLoss) {
  EXPECT_EQ(DecodeUnit("\x0a\xff").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeAssignment("garbage").status().code(), absl::StatusCode::kDataLoss);
  // A desired state from a future version must not be taken for "inactive".
  EXPECT_EQ(DecodeUnit(std::string("\x10\x63")).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace fleet::registry
