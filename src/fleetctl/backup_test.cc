// backup and restore as commands.

#include <filesystem>

#include "client/text.h"
#include "fleetctl/backup_document.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "fleetctl/whole_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kText[] = "# mine\r\n[Service]\r\nExecStart=/x \\\n  y";
constexpr char kOther[] = "[Service]\nExecStart=/other\n";

class BackupCommandTest : public testing::Test {
 protected:
  // A cluster with units in all states.
  void Fill() {
    fleet_.Add("a.service", "launched", kText);
    fleet_.Add("b.service", "loaded", kText);
    fleet_.Add("web@.service", "inactive", kText);
    fleet_.settings["m9"] = {
        {"id", "m9"}, {"metadata", {{"zone", "b"}}}, {"removedMetadata", {"disk"}}};
  }
  // A backup of it in a file; the cluster is empty afterwards.
  std::string Saved() {
    Fill();
    const std::string path = fleet_.directory() + "backup.json";
    EXPECT_EQ(fleet_.Run({"backup", path}).code, kDone);
    fleet_.units.clear();
    fleet_.settings.clear();
    return path;
  }

  FakeFleet fleet_;
};

TEST_F(BackupCommandTest, WritesAFile) {
  Fill();
  const std::string path = fleet_.directory() + "backup.json";
  const Result result = fleet_.Run({"backup", path});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out,
            Cat("Saved 3 units and the metadata of 1 machines at revision 7 in ", path, "\n"));
  const auto document = ParseBackup(*ReadWholeFile(path, 1 << 20), path);
  ASSERT_TRUE(document.ok()) << document.status();
  ASSERT_THAT(document->units, SizeIs(3));
  EXPECT_EQ(document->units[0], (BackupUnit{"a.service", "launched", kText}));
}

TEST_F(BackupCommandTest, WritesToStdoutAndTalksOnStderr) {
  Fill();
  const Result result = fleet_.Run({"backup", "-"});
  EXPECT_EQ(result.code, kDone);
  EXPECT_TRUE(ParseBackup(result.out, "stdout").ok());
  EXPECT_THAT(result.err, HasSubstr("Saved 3 units"));
}

TEST_F(BackupCommandTest, RefusesToSaveLessThanAllUnlessAsked) {
  Fill();
  fleet_.unreadable = {"units/new.service"};
  const std::string path = fleet_.Write("backup.json", "old");
  const Result refused = fleet_.Run({"backup", path});
  EXPECT_EQ(refused.code, kFailed);
  EXPECT_THAT(refused.err, HasSubstr("units/new.service"));
  EXPECT_EQ(*ReadWholeFile(path, 1 << 20), "old");
  const Result saved = fleet_.Run({"backup", "--incomplete", path});
  EXPECT_EQ(saved.code, kDone);
  EXPECT_THAT(saved.err, HasSubstr("WARNING"));
  EXPECT_THAT(fleet_.Run({"restore", path}).err, HasSubstr("is not complete"));
}

TEST_F(BackupCommandTest, FailsWhenTheFileCannotBeWritten) {
  const Result result = fleet_.Run({"backup", fleet_.directory()});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("cannot write"));
}

TEST_F(BackupCommandTest, RestoreBringsAllBackAndSaysSo) {
  const std::string path = Saved();
  const Result result = fleet_.Run({"restore", path});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.err, IsEmpty());
  EXPECT_EQ(result.out,
            "Metadata of machine m9 restored (zone=b,disk removed)\n"
            "Unit a.service restored (launched)\n"
            "Unit b.service restored (loaded)\n"
            "Unit web@.service restored (inactive)\n"
            "Unit a.service launched on 8be9f57e.../10.0.0.1\n"
            "Unit b.service loaded on 8be9f57e.../10.0.0.1\n"
            "Summary: 3 units: 3 restored, 0 there already, 0 kept as they were, 0 failed; "
            "metadata of 1 machines: 1 restored\n");
  EXPECT_EQ(fleet_.units["a.service"]["content"], kText);
  EXPECT_EQ(fleet_.units["b.service"]["desiredState"], "loaded");
  EXPECT_EQ(fleet_.settings["m9"]["removedMetadata"], json::array({"disk"}));

  const size_t changes = fleet_.Changes().size();
  const Result again = fleet_.Run({"restore", path});
  EXPECT_EQ(again.code, kDone);
  EXPECT_EQ(again.out,
            "Unit a.service is there already, nothing to do\n"
            "Unit b.service is there already, nothing to do\n"
            "Unit web@.service is there already, nothing to do\n"
            "Metadata of machine m9 is there already, nothing to do\n"
            "Summary: 3 units: 0 restored, 3 there already, 0 kept as they were, 0 failed; "
            "metadata of 1 machines: 0 restored\n");
  EXPECT_EQ(fleet_.Changes().size(), changes);
}

TEST_F(BackupCommandTest, RestoreReadsStdin) {
  const std::string text = *ReadWholeFile(Saved(), 1 << 20);
  EXPECT_THAT(fleet_.Run({"restore", "--no-block", "-"}, text).out,
              HasSubstr("Unit a.service restored (launched)\n"));
  EXPECT_THAT(fleet_.Run({"restore", "-"}, text.substr(0, text.size() / 2)).err,
              HasSubstr("stdin is cut short"));
}

TEST_F(BackupCommandTest, RestoreKeepsWhatDiffersUnlessReplacing) {
  const std::string path = Saved();
  fleet_.Add("a.service", "launched", kOther);
  fleet_.Add("b.service", "launched", kText);
  fleet_.settings["m9"] = {
      {"id", "m9"}, {"metadata", {{"zone", "c"}}}, {"removedMetadata", json::array()}};
  const Result kept = fleet_.Run({"restore", path});
  EXPECT_EQ(kept.code, kDone);
  EXPECT_EQ(kept.err, Cat("WARNING: Unit a.service in registry differs from ", path,
                          ". Add --replace to override.\n"
                          "WARNING: Unit b.service in registry is launched, in ",
                          path,
                          " loaded. Add --replace to override.\n"
                          "WARNING: Metadata zone of machine m9 in registry is c, in ",
                          path, " b. Add --replace to override.\n"));
  EXPECT_EQ(fleet_.units["a.service"]["content"], kOther);
  EXPECT_EQ(fleet_.units["b.service"]["desiredState"], "launched");
  EXPECT_THAT(kept.out, HasSubstr("1 restored, 0 there already, 2 kept as they were"));
  EXPECT_EQ(fleet_.settings["m9"]["metadata"]["zone"], "c");

  const Result replaced = fleet_.Run({"restore", "--replace", path});
  EXPECT_THAT(replaced.out, HasSubstr("Unit a.service restored (launched, text replaced)\n"));
  EXPECT_THAT(replaced.out, HasSubstr("Unit b.service restored (loaded, was launched)\n"));
  EXPECT_THAT(replaced.out, HasSubstr("Metadata of machine m9 restored (zone=b)\n"));
  EXPECT_THAT(replaced.err, IsEmpty());
  EXPECT_EQ(fleet_.units["a.service"]["content"], kText);
}

TEST_F(BackupCommandTest, ANumberOfReplicasThatWasSetSinceIsTakenBackWithReplace) {
  const std::string path = Saved();
  fleet_.Add("web@.service", "inactive", kText);
  fleet_.units["web@.service"]["replicas"] = 2;
  const Result kept = fleet_.Run({"restore", "--no-block", path});
  EXPECT_THAT(kept.err, HasSubstr("Template web@.service in registry has 2 replicas, in " + path +
                                  " no number of them. Add --replace to override.\n"));
  EXPECT_THAT(fleet_.Run({"restore", "--no-block", "--replace", "--dry-run", path}).out,
              HasSubstr("Template web@.service would be scaled to what its text says\n"));
  EXPECT_THAT(fleet_.RolloutRequests(), IsEmpty());
  const Result replaced = fleet_.Run({"restore", "--no-block", "--replace", path});
  EXPECT_EQ(replaced.code, kDone) << replaced.err;
  EXPECT_THAT(replaced.out, HasSubstr("Template web@.service scaled to what its text says\n"));
  ASSERT_THAT(fleet_.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet_.RolloutRequests()[0].first, "/units/web@.service/scale");
  EXPECT_TRUE(fleet_.RolloutRequests()[0].second.is_null());
}

TEST_F(BackupCommandTest, ADryRunChangesNothing) {
  const std::string path = Saved();
  const Result result = fleet_.Run({"restore", "--dry-run", path});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.out, HasSubstr("Unit a.service would be restored (launched)\n"));
  EXPECT_THAT(result.out, HasSubstr("Metadata of machine m9 would be restored (zone=b"));
  EXPECT_THAT(result.out, HasSubstr("3 units: 3 to be restored"));
  EXPECT_THAT(fleet_.units, IsEmpty());
  EXPECT_THAT(fleet_.settings, IsEmpty());
}

TEST_F(BackupCommandTest, ARefusedUnitFailsAndTheOthersAreRestored) {
  const std::string path = Saved();
  fleet_.refused["a.service"] = "a circle";
  const Result result = fleet_.Run({"restore", path});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.err, "Error: cannot restore unit a.service: a circle\n");
  EXPECT_THAT(result.out, HasSubstr("Unit b.service restored (loaded)\n"));
  EXPECT_THAT(result.out, HasSubstr("2 restored, 0 there already, 0 kept as they were, 1 failed"));
}

TEST_F(BackupCommandTest, UnknownKeysAreRestoredWithAWarning) {
  fleet_.Add("a.service", "inactive", "[X-Fleet]\nMachineOff=b.service\n");
  const std::string path = fleet_.directory() + "backup.json";
  ASSERT_EQ(fleet_.Run({"backup", path}).code, kDone);
  fleet_.units.clear();
  const Result result = fleet_.Run({"restore", path});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.err, HasSubstr("WARNING: unit a.service: "));
  EXPECT_THAT(result.err, HasSubstr("MachineOff"));
  EXPECT_EQ(fleet_.Changes().back()["force"], true);
  EXPECT_THAT(fleet_.Run({"restore", path}).err, IsEmpty()) << "it is there already";
}

TEST_F(BackupCommandTest, AUnitThatDoesNotStartIsReportedAndStaysRestored) {
  const std::string path = Saved();
  fleet_.after_change = [](json& unit) {
    if (unit["name"] == "a.service") unit["progress"] = "pending";
  };
  const Result result = fleet_.Run({"restore", "--timeout=20ms", path});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("timed out waiting for unit a.service to be launched"));
  EXPECT_THAT(result.out, HasSubstr("3 units: 3 restored"));
  fleet_.units.clear();
  EXPECT_EQ(fleet_.Run({"restore", "--no-block", path}).code, kDone);
}

TEST_F(BackupCommandTest, ARestoreThatBreaksOffGoesOnWhenRepeated) {
  for (int i = 0; i < 500; ++i) fleet_.Add(Cat("u", i, ".service"), "inactive", kText);
  const std::string path = fleet_.directory() + "backup.json";
  ASSERT_EQ(fleet_.Run({"backup", path}).code, kDone);
  fleet_.units.clear();
  fleet_.batches_until_503 = 1;
  const Result broken = fleet_.Run({"restore", path});
  EXPECT_EQ(broken.code, kFailed);
  EXPECT_THAT(broken.err, HasSubstr("the registry is away (200 of 500 units have been restored"));
  EXPECT_THAT(fleet_.units, SizeIs(200));
  fleet_.batches_until_503 = -1;
  const Result again = fleet_.Run({"restore", path});
  EXPECT_EQ(again.code, kDone);
  EXPECT_THAT(again.out, HasSubstr("500 units: 300 restored, 200 there already"));
  EXPECT_THAT(fleet_.units, SizeIs(500));
}

TEST_F(BackupCommandTest, ABadFileChangesNothing) {
  for (const char* bad : {"", "{", "[]", R"({"format": "fleet backup", "version": 2})"}) {
    const Result result = fleet_.Run({"restore", fleet_.Write("bad.json", bad)});
    EXPECT_EQ(result.code, kFailed) << bad;
    EXPECT_THAT(result.err, HasSubstr("bad.json")) << bad;
    EXPECT_THAT(result.out, IsEmpty());
  }
  EXPECT_EQ(fleet_.Run({"restore", fleet_.directory() + "absent.json"}).code, kNotFound);
  EXPECT_EQ(fleet_.Run({"restore"}).code, kUsage);
  EXPECT_EQ(fleet_.Run({"restore", "a", "b"}).code, kUsage);
  EXPECT_THAT(fleet_.Changes(), IsEmpty());
}

}  // namespace
}  // namespace fleet::fleetctl
