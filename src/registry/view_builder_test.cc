#include "registry/view_builder.h"

#include <gtest/gtest.h>

#include "registry/codec.h"

namespace fleet::registry {
namespace {

const Keys kKeys("/fleet/");

store::KeyValue Kv(std::string key, std::string value, int64_t revision) {
  return {.key = std::move(key),
          .value = std::move(value),
          .create_revision = revision,
          .mod_revision = revision};
}

TEST(Keys, ParseIsTheInverseOfEachKey) {
  EXPECT_EQ(kKeys.Parse(kKeys.Unit("a.service"))->record, Change::Record::kUnit);
  const auto assignment = kKeys.Parse(kKeys.Assignment("m1", "a.service"));
  ASSERT_TRUE(assignment.has_value());
  EXPECT_EQ(assignment->record, Change::Record::kAssignment);
  EXPECT_EQ(assignment->name, "a.service");
  EXPECT_EQ(assignment->machine, "m1");
  EXPECT_EQ(kKeys.Parse(kKeys.State("m1", "a.service"))->record, Change::Record::kState);
  EXPECT_EQ(kKeys.Parse(kKeys.Leader())->record, Change::Record::kLeader);
}

TEST(Keys, ForeignKeysAreNoRecords) {
  for (const char* key : {"/other/units/a.service", "/fleet/", "/fleet/units/", "/fleet/nonsense/a",
                          "/fleet/assignments/m1", "/fleet/assignments/m1/"}) {
    EXPECT_FALSE(kKeys.Parse(key).has_value()) << key;
  }
  EXPECT_FALSE(kKeys.Parse(kKeys.Event("epoch", 3)).has_value());
}

TEST(ViewBuilder, ASnapshotDoesNotSeeLaterChanges) {
  ViewBuilder builder(kKeys);
  builder.Put(Kv(kKeys.Unit("a.service"), Encode(UnitRecord{.uid = "1"}), 2));
  const auto before = builder.Snapshot(2);
  builder.Put(Kv(kKeys.Unit("a.service"), Encode(UnitRecord{.uid = "2"}), 3));
  builder.Delete(Kv(kKeys.Unit("b.service"), "", 3));
  const auto after = builder.Snapshot(3);
  EXPECT_EQ(before->units.Find("a.service")->value.uid, "1");
  EXPECT_EQ(after->units.Find("a.service")->value.uid, "2");
  EXPECT_EQ(after->units.Find("a.service")->mod_revision, 3);
}

TEST(ViewBuilder, AnUnreadableRecordIsNeitherPresentNorAbsentAndHarmsNothingElse) {
  ViewBuilder builder(kKeys);
  builder.Put(Kv(kKeys.Unit("a.service"), "\x0a\xff", 2));
  builder.Put(Kv(kKeys.Unit("b.service"), Encode(UnitRecord{.uid = "1"}), 3));
  auto view = builder.Snapshot(3);
  EXPECT_NE(view->unreadable.Find("units/a.service"), nullptr);
  EXPECT_NE(view->units.Find("b.service"), nullptr);
  builder.Put(Kv(kKeys.Unit("a.service"), Encode(UnitRecord{.uid = "1"}), 4));
  view = builder.Snapshot(4);
  EXPECT_TRUE(view->unreadable.empty());
  EXPECT_NE(view->units.Find("a.service"), nullptr);
}

TEST(ViewBuilder, ARecordOfAnyKindThatCannotBeReadIsNamed) {
  const std::vector<std::string> keys = {
      kKeys.Unit("a.service"), kKeys.Content("hash"),
      kKeys.Settings("m1"),    kKeys.Assignment("m1", "a.service"),
      kKeys.Machine("m1"),     kKeys.State("m1", "a.service"),
      kKeys.Leader(),          kKeys.Cluster("hold"),
      kKeys.Cluster("id"),     kKeys.Cluster("features"),
  };
  for (const std::string& key : keys) {
    ViewBuilder builder(kKeys);
    builder.Put(Kv(kKeys.Unit("other.service"), Encode(UnitRecord{.uid = "1"}), 2));
    builder.Put(Kv(key, "\x0a\xff", 3));
    const auto view = builder.Snapshot(3);
    EXPECT_NE(view->unreadable.Find(key.substr(kKeys.prefix().size())), nullptr) << key;
    EXPECT_NE(view->units.Find("other.service"), nullptr) << key;
    builder.Delete(Kv(key, "", 4));
    EXPECT_TRUE(builder.Snapshot(4)->unreadable.empty()) << key;
  }
}

TEST(ViewBuilder, AssignmentsAreOrderedByUnit) {
  ViewBuilder builder(kKeys);
  for (const char* machine : {"m2", "m1"}) {
    for (const char* unit : {"b.service", "a.service"}) {
      builder.Put(Kv(kKeys.Assignment(machine, unit), Encode(Assignment{.uid = "u"}), 2));
    }
  }
  const auto view = builder.Snapshot(2);
  int count = 0;
  for (auto it = FirstOf(view->assignments, "a.service");
       InUnit(it, view->assignments, "a.service"); ++it) {
    EXPECT_EQ(it->first.machine, count == 0 ? "m1" : "m2");
    ++count;
  }
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace fleet::registry
