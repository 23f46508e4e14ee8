#include "fleetctl/whole_file.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::HasSubstr;

class WholeFile : public testing::Test {
 protected:
  WholeFile() {
    char name[] = "/tmp/whole-file-test-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    directory_ = name;
  }
  ~WholeFile() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                             std::filesystem::directory_iterator()));
  }

  std::string directory_;
};

std::string ContentOf(const std::string& path) {
  return ReadWholeFile(path, 1 << 20).value_or("(cannot be read)");
}

TEST_F(WholeFile, IsWrittenForItsOwnerOnlyAndLeavesNothingBeside) {
  const std::string path = Path("f");
  ASSERT_TRUE(ReplaceWholeFile(path, std::string("a\0b\r\n", 5)).ok());
  EXPECT_EQ(ContentOf(path), std::string("a\0b\r\n", 5));
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_TRUE(ReplaceWholeFile(path, "new").ok());
  EXPECT_EQ(ContentOf(path), "new");
  EXPECT_EQ(Files(), 1U);
}

TEST_F(WholeFile, ALinkIsFollowed) {
  std::ofstream(Path("target")) << "old";
  std::filesystem::create_symlink("target", Path("link"));
  ASSERT_TRUE(ReplaceWholeFile(Path("link"), "new").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(ContentOf(Path("target")), "new");
}

TEST_F(WholeFile, WhatIsNoRegularFileIsWrittenTo) {
  ASSERT_TRUE(ReplaceWholeFile("/dev/null", "x").ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = ContentOf(Path("pipe")); });
  EXPECT_TRUE(ReplaceWholeFile(Path("pipe"), "through").ok());
  reader.join();
  EXPECT_EQ(read, "through");
}

TEST_F(WholeFile, SaysWhatKeepsItFromBeingWritten) {
  EXPECT_THAT(std::string(ReplaceWholeFile("/dev/full", "x").message()),
              HasSubstr("/dev/full: No space left"));
  EXPECT_THAT(std::string(ReplaceWholeFile(directory_, "x").message()),
              HasSubstr("it is a directory"));
  EXPECT_THAT(std::string(ReplaceWholeFile(Path("none/f"), "x").message()),
              HasSubstr("none/f: No such file"));
}

TEST_F(WholeFile, SaysWhatKeepsItFromBeingRead) {
  EXPECT_TRUE(absl::IsNotFound(ReadWholeFile(Path("none"), 10).status()));
  EXPECT_THAT(std::string(ReadWholeFile(directory_, 10).status().message()),
              HasSubstr("Is a directory"));
  EXPECT_THAT(std::string(ReadWholeFile("/dev/zero", 10).status().message()),
              HasSubstr("more than 10 bytes"));
}

}  // namespace
}  // namespace fleet::fleetctl
