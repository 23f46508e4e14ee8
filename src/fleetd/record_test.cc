#include "fleetd/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/features.h"

namespace fleet::fleetd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

host::MachineFacts Facts() {
  return {.machine_id = "m1",
          .boot_id = "b1",
          .hostname = "one",
          .default_address = "10.0.0.1",
          .milli_cores = 4000,
          .memory_bytes = int64_t{8} << 30};
}

MachineRecord RecordOf(const Config& config) { return MakeMachineRecord(config, Facts(), "token"); }

TEST(MachineRecord, SaysWhatTheMachineIs) {
  Config config;
  config.metadata = {{"zone", "a"}};
  const MachineRecord record = RecordOf(config);
  EXPECT_EQ(record.address, "10.0.0.1");
  EXPECT_EQ(record.hostname, "one");
  EXPECT_EQ(record.boot_id, "b1");
  EXPECT_EQ(record.token, "token");
  EXPECT_THAT(record.metadata, ElementsAre(Pair("zone", "a")));
  EXPECT_NE(record.version, "");
  EXPECT_EQ(record.features, KnownFeatures());
  EXPECT_EQ(record.systemd_user, "");
  EXPECT_FALSE(record.leaving);
}

TEST(MachineRecord, HasTheConfiguredAddressAndTheUserWhoseSystemdItIs) {
  Config config;
  config.public_ip = "192.0.2.1";
  config.systemd_user = true;
  EXPECT_EQ(RecordOf(config).address, "192.0.2.1");
  EXPECT_NE(RecordOf(config).systemd_user, "");
}

TEST(MachineRecord, PublishesTheAddressesOfTheApiThatOthersCanReach) {
  Config config;
  config.listen = {{"127.0.0.1", 80}, {"10.0.0.9", 81}, {"0.0.0.0", 82}, {"::1", 83}, {"::", 84}};
  EXPECT_THAT(RecordOf(config).api_endpoints,
              ElementsAre("http://10.0.0.9:81", "http://10.0.0.1:82", "http://10.0.0.1:84"));
  config.listen = {{"0.0.0.0", 82}};
  config.listen_certfile = "/c";
  EXPECT_THAT(RecordOf(config).api_endpoints, ElementsAre("https://10.0.0.1:82"));
  config.listen = {{"127.0.0.1", 80}};
  EXPECT_THAT(RecordOf(config).api_endpoints, IsEmpty());
}

TEST(MachineRecord, OffersWhatTheMachineHas) {
  EXPECT_EQ(RecordOf({}).milli_cores, 4000);
  EXPECT_EQ(RecordOf({}).memory_bytes, int64_t{8} << 30);
}

TEST(MachineRecord, OffersTheConfiguredCapacityInstead) {
  Config config;
  config.capacity_cpu = 500;
  EXPECT_EQ(RecordOf(config).milli_cores, 500);
  EXPECT_EQ(RecordOf(config).memory_bytes, int64_t{8} << 30);
  config.capacity_memory = int64_t{64} << 30;
  EXPECT_EQ(RecordOf(config).memory_bytes, int64_t{64} << 30);
}

TEST(MachineRecord, DoesNotOfferWhatIsReserved) {
  Config config;
  config.reserved_cpu = 500;
  config.reserved_memory = int64_t{1} << 30;
  EXPECT_EQ(RecordOf(config).milli_cores, 3500);
  EXPECT_EQ(RecordOf(config).memory_bytes, int64_t{7} << 30);
  config.capacity_cpu = 2000;
  config.capacity_memory = int64_t{2} << 30;
  EXPECT_EQ(RecordOf(config).milli_cores, 1500);
  EXPECT_EQ(RecordOf(config).memory_bytes, int64_t{1} << 30);
}

TEST(MachineRecord, OffersNothingWhereMoreIsReservedThanThereIs) {
  Config config;
  config.reserved_cpu = 4001;
  config.reserved_memory = int64_t{9} << 30;
  EXPECT_EQ(RecordOf(config).milli_cores, 0);
  EXPECT_EQ(RecordOf(config).memory_bytes, 0);
}

TEST(MachineRecord, TakesOverMetadataAndCapacityWithAReloadAndNothingElse) {
  Config config;
  MachineRecord running = RecordOf(config);
  running.leaving = true;
  config.metadata = {{"zone", "b"}};
  config.capacity_cpu = 3000;
  config.capacity_memory = int64_t{4} << 30;
  config.reserved_cpu = 1000;
  config.reserved_memory = int64_t{1} << 30;
  config.public_ip = "192.0.2.1";
  config.listen = {{"192.0.2.1", 80}};
  MachineRecord expected = running;
  expected.metadata = config.metadata;
  expected.milli_cores = 2000;
  expected.memory_bytes = int64_t{3} << 30;
  EXPECT_EQ(Reconfigured(running, config, Facts()), expected);
}

}  // namespace
}  // namespace fleet::fleetd
