#include "host/unit_directory.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void Spill(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}
std::vector<std::string> Names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}
struct stat Status(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status;
}
int64_t Modified(const fs::path& path) {
  const timespec time = Status(path).st_mtim;
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
}

class UnitDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/unitsXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    base_ = fs::canonical(pattern);
  }
  void TearDown() override { fs::remove_all(base_); }

  static InstalledUnit Unit(const std::string& name, const std::string& text = "[Service]\n") {
    return {name, {.uid = "uid-" + name, .generation = 1}, text};
  }

  fs::path base_;
  fs::path Units() const { return base_ / "run/fleet/units"; }
  fs::path Links() const { return base_ / "run/systemd/system"; }
  FileUnitDirectory Open() const { return {Units().string() + "/", Links().string()}; }
};

TEST_F(UnitDirectoryTest, ListsNothingBeforeAnythingIsInstalled) {
  const auto units = Open().List();
  ASSERT_TRUE(units.ok()) << units.status();
  EXPECT_THAT(*units, IsEmpty());
}

TEST_F(UnitDirectoryTest, KeepsTheTextByteForByteAndLinksToIt) {
  const std::string text =
      "# comment\r\n[Service]\nExecStart=/bin/a \\\n  b\n\nX=\xc3\xa4" + std::string(1, '\0') + "z";
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("web@1.service", text)), absl::OkStatus());
  EXPECT_EQ(Slurp(Units() / "web@1.service"), text);
  EXPECT_EQ(fs::read_symlink(Links() / "web@1.service"), Units() / "web@1.service");
  EXPECT_EQ(*directory.List(), std::vector{Unit("web@1.service", text)});
}

TEST_F(UnitDirectoryTest, MakesFilesThatEverybodyMayReadWhateverTheUmask) {
  const mode_t before = umask(0077);
  const absl::Status status = Open().Install(Unit("a.service"));
  umask(before);
  ASSERT_EQ(status, absl::OkStatus());
  EXPECT_EQ(Status(Units() / "a.service").st_mode & 07777U, 0644U);
  EXPECT_EQ(Status(Links()).st_mode & 07777U, 0755U);
}

TEST_F(UnitDirectoryTest, ReplacesTextAndNote) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service", "old\n")), absl::OkStatus());
  InstalledUnit changed = Unit("a.service", "new\n");
  changed.note.generation = 2;
  ASSERT_EQ(directory.Install(changed), absl::OkStatus());
  EXPECT_EQ(*directory.List(), std::vector{changed});
}

TEST_F(UnitDirectoryTest, WritesANoteAlone) {
  FileUnitDirectory directory = Open();
  InstalledUnit unit = Unit("a.service");
  ASSERT_EQ(directory.Install(unit), absl::OkStatus());
  unit.note.started = true;
  ASSERT_EQ(directory.WriteNote("a.service", unit.note), absl::OkStatus());
  EXPECT_EQ(*directory.List(), std::vector{unit});
}

TEST_F(UnitDirectoryTest, RemovesEverythingOfAUnitAndNothingElse) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  ASSERT_EQ(directory.Install(Unit("b.service")), absl::OkStatus());
  ASSERT_EQ(directory.Remove("a.service"), absl::OkStatus());
  EXPECT_THAT(Names(Units()), UnorderedElementsAre(".notes", "b.service"));
  EXPECT_THAT(Names(Units() / ".notes"), ElementsAre("b.service"));
  EXPECT_THAT(Names(Links()), ElementsAre("b.service"));
  EXPECT_EQ(directory.Remove("a.service"), absl::OkStatus());
}

TEST_F(UnitDirectoryTest, DoesNotTouchATextThatStaysTheSame) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  const auto inode = Status(Units() / "a.service").st_ino;
  const int64_t modified = Modified(Units() / "a.service");
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  EXPECT_EQ(Status(Units() / "a.service").st_ino, inode);
  EXPECT_EQ(Modified(Units() / "a.service"), modified);
}

TEST_F(UnitDirectoryTest, GivesEachTextALaterTimeHoweverFastTheyChange) {
  FileUnitDirectory directory = Open();
  int64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(directory.Install(Unit("a.service", std::to_string(i))), absl::OkStatus());
    const int64_t modified = Modified(Units() / "a.service");
    EXPECT_GT(modified, last);
    last = modified;
  }
}

TEST_F(UnitDirectoryTest, GivesATextALaterTimeWhenTheClockWasSetBack) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service", "old")), absl::OkStatus());
  const timespec future[2] = {{4'000'000'000, 0}, {4'000'000'000, 999'999'500}};
  ASSERT_EQ(utimensat(AT_FDCWD, (Units() / "a.service").c_str(), future, 0), 0);
  const int64_t before = Modified(Units() / "a.service");
  ASSERT_EQ(directory.Install(Unit("a.service", "new")), absl::OkStatus());
  EXPECT_GT(Modified(Units() / "a.service"), before);
}

TEST_F(UnitDirectoryTest, ChangesTheTimeOfTheLinksWithEachLink) {
  FileUnitDirectory directory = Open();
  int64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "u" + std::to_string(i) + ".service";
    ASSERT_EQ(directory.Install(Unit(name)), absl::OkStatus());
    EXPECT_GT(Modified(Links()), last);
    last = Modified(Links());
    if (i % 3 != 0) continue;
    ASSERT_EQ(directory.Remove(name), absl::OkStatus());
    EXPECT_GT(Modified(Links()), last);
    last = Modified(Links());
  }
}

TEST_F(UnitDirectoryTest, ChangesTheTimeOfTheLinksAlsoWhenTheClockStandsStillOrGoesBack) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  const timespec future[2] = {{4'000'000'000, 0}, {4'000'000'000, 999'999'500}};
  ASSERT_EQ(utimensat(AT_FDCWD, Links().c_str(), future, 0), 0);
  int64_t last = Modified(Links());
  ASSERT_EQ(directory.Install(Unit("b.service")), absl::OkStatus());
  EXPECT_GT(Modified(Links()), last);
  last = Modified(Links());
  ASSERT_EQ(directory.Remove("a.service"), absl::OkStatus());
  EXPECT_GT(Modified(Links()), last);
}

TEST_F(UnitDirectoryTest, LeavesAForeignFileInTheLinksAlone) {
  FileUnitDirectory directory = Open();
  fs::create_directories(Links());
  Spill(Links() / "ssh.service", "theirs");
  const absl::Status status = directory.Install(Unit("ssh.service"));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr((Links() / "ssh.service").string()));
  EXPECT_FALSE(fs::exists(Units() / "ssh.service"));
  EXPECT_FALSE(fs::exists(Units() / ".notes/ssh.service"));
  EXPECT_EQ(directory.Remove("ssh.service"), absl::OkStatus());
  EXPECT_EQ(Slurp(Links() / "ssh.service"), "theirs");
}

TEST_F(UnitDirectoryTest, LeavesAForeignLinkAlone) {
  FileUnitDirectory directory = Open();
  fs::create_directories(Links());
  for (const char* target : {"/dev/null", "/etc/systemd/system/a.service", "../other/a.service"}) {
    fs::create_symlink(target, Links() / "a.service");
    EXPECT_TRUE(absl::IsFailedPrecondition(directory.Install(Unit("a.service")))) << target;
    EXPECT_EQ(directory.Remove("a.service"), absl::OkStatus());
    EXPECT_EQ(fs::read_symlink(Links() / "a.service"), target);
    fs::remove(Links() / "a.service");
  }
}

TEST_F(UnitDirectoryTest, TakesALinkOfItsOwnThatIsSpelledInAnotherWay) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  fs::create_directory_symlink(base_ / "run", base_ / "var-run");
  fs::remove(Links() / "a.service");
  fs::create_symlink(base_ / "var-run/fleet/units/a.service", Links() / "a.service");
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  EXPECT_EQ(fs::read_symlink(Links() / "a.service"), Units() / "a.service");
}

TEST_F(UnitDirectoryTest, MakesAMissingLinkAgain) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  fs::remove(Links() / "a.service");
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  EXPECT_TRUE(fs::exists(Links() / "a.service"));
}

TEST_F(UnitDirectoryTest, RefusesNamesThatLeaveTheDirectory) {
  FileUnitDirectory directory = Open();
  for (const std::string& name : std::vector<std::string>{
           "", "../a.service", "a/b.service", ".notes", ".", "..", std::string(256, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(directory.Install(Unit(name)))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory.WriteNote(name, {.uid = "u"}))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory.Remove(name))) << name;
  }
}

TEST_F(UnitDirectoryTest, TakesTheLongestNameThereIs) {
  const std::string name = std::string(247, 'a') + ".service";
  ASSERT_EQ(Open().Install(Unit(name)), absl::OkStatus());
  EXPECT_EQ(Open().List()->size(), 1U);
}

TEST_F(UnitDirectoryTest, SkipsANoteThatCannotBeReadAndListsTheRest) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  ASSERT_EQ(directory.Install(Unit("b.service")), absl::OkStatus());
  Spill(Units() / ".notes/a.service", "garbage");
  EXPECT_EQ(*directory.List(), std::vector{Unit("b.service")});
}

TEST_F(UnitDirectoryTest, SkipsATextThatIsNoFile) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  fs::remove(Units() / "a.service");
  fs::create_symlink("/etc/passwd", Units() / "a.service");
  EXPECT_THAT(*directory.List(), IsEmpty());
}

TEST_F(UnitDirectoryTest, ShowsAUnitWhoseInstallationWasCutShort) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.WriteNote("a.service", {.uid = "u"}), absl::OkStatus());
  const auto units = directory.List();
  ASSERT_EQ(units->size(), 1U);
  EXPECT_EQ((*units)[0].text, "");
  EXPECT_EQ((*units)[0].note.uid, "u");
}

TEST_F(UnitDirectoryTest, ClearsWhatACrashLeftHalfWritten) {
  FileUnitDirectory directory = Open();
  ASSERT_EQ(directory.Install(Unit("a.service")), absl::OkStatus());
  Spill(Units() / ".fleet-new-1", "x");
  Spill(Units() / ".notes/.fleet-new-2", "x");
  fs::create_symlink("nowhere", Links() / ".fleet-new-3");
  EXPECT_EQ(directory.List()->size(), 1U);
  EXPECT_THAT(Names(Units()), UnorderedElementsAre(".notes", "a.service"));
  EXPECT_THAT(Names(Units() / ".notes"), ElementsAre("a.service"));
  EXPECT_THAT(Names(Links()), ElementsAre("a.service"));
}

// Needs the right to mount.
TEST_F(UnitDirectoryTest, RemovesTheInstallLinksOfTheUnitsThatAreNamedOnly) {
  FileUnitDirectory units = Open();
  for (const char* name : {"a.service", "b.service"}) {
    ASSERT_EQ(units.Install(Unit(name)), absl::OkStatus());
    for (const char* directory : {"x.target.wants", "y.target.requires"}) {
      fs::create_directories(Links() / directory);
      fs::create_symlink(Units() / name, Links() / directory / name);
    }
  }
  fs::create_directories(Links() / "z.target.wants");
  fs::create_symlink(Units() / "a.service", Links() / "z.target.wants/a.service");
  fs::create_symlink(Units() / "a.service", Links() / "alias-of-a.service");
  fs::create_symlink("a.service", Links() / "relative-alias.service");
  Spill(Links() / "x.target.wants/foreign.service", "");

  EXPECT_EQ(units.RemoveInstallLinks({"a.service"}), absl::OkStatus());
  EXPECT_THAT(Names(Links()), UnorderedElementsAre("a.service", "b.service", "x.target.wants",
                                                   "y.target.requires"));
  EXPECT_THAT(Names(Links() / "x.target.wants"),
              UnorderedElementsAre("b.service", "foreign.service"));
  EXPECT_THAT(Names(Links() / "y.target.requires"), ElementsAre("b.service"));
}

TEST_F(UnitDirectoryTest, LeavesEverythingAsItWasWhenTheDiskIsFull) {
  fs::create_directories(Units());
  if (mount("tmpfs", Units().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "no small file system can be mounted here: error " << errno;
  }
  FileUnitDirectory directory = Open();
  const InstalledUnit old = Unit("a.service", "old\n");
  EXPECT_EQ(directory.Install(old), absl::OkStatus());
  const std::string large(100'000, '#');
  for (const char* name : {"a.service", "b.service"}) {
    InstalledUnit unit = Unit(name, large);
    unit.note.generation = 2;
    const absl::Status status = directory.Install(unit);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(absl::IsResourceExhausted(directory.CheckInstall(unit)));
    EXPECT_THAT(status.message(), HasSubstr(Units().string()));
  }
  EXPECT_EQ(*directory.List(), std::vector{old});
  EXPECT_THAT(Names(Units()), UnorderedElementsAre(".notes", "a.service"));
  EXPECT_THAT(Names(Links()), ElementsAre("a.service"));
  EXPECT_EQ(directory.Install(Unit("c.service")), absl::OkStatus());
  EXPECT_EQ(umount2(Units().c_str(), MNT_DETACH), 0);
}

TEST_F(UnitDirectoryTest, ChangesANoteOnADiskThatIsFull) {
  fs::create_directories(Units());
  if (mount("tmpfs", Units().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "no small file system can be mounted here: error " << errno;
  }
  FileUnitDirectory directory = Open();
  InstalledUnit unit = Unit("a.service", "text\n");
  EXPECT_EQ(directory.Install(unit), absl::OkStatus());
  std::ofstream(Units() / "filler") << std::string(100'000, '#');
  unit.note.starting = unit.note.enabled = true;
  unit.note.started = false;
  unit.note.generation = 9'000'000'000;
  EXPECT_EQ(directory.WriteNote("a.service", unit.note), absl::OkStatus());
  EXPECT_EQ(*directory.List(), std::vector{unit});
  EXPECT_TRUE(absl::IsResourceExhausted(directory.WriteNote("b.service", unit.note)));
  EXPECT_EQ(umount2(Units().c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace fleet::host
