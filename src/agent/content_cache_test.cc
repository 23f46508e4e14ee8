#include "agent/content_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace fleet::agent {
namespace {

class ContentCacheTest : public ::testing::Test {
 protected:
  ContentCacheTest() {
    std::string name = ::testing::TempDir() + "/cache-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ContentCacheTest() override { std::filesystem::remove_all(directory_); }

  const UnitFile file_ = *UnitFile::Parse("[Service]\nExecStart=/bin/true\n# kept\n");
  std::string directory_;
};

TEST_F(ContentCacheTest, GivesBackWhatWasStored) {
  DiskContentCache cache(directory_ + "/contents");
  EXPECT_EQ(cache.Find(file_.hash()), nullptr);
  cache.Store(file_);
  const auto found = cache.Find(file_.hash());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->text(), file_.text());
}

TEST_F(ContentCacheTest, ADamagedTextIsNotUsed) {
  DiskContentCache cache(directory_);
  cache.Store(file_);
  std::ofstream(directory_ + "/" + file_.hash()) << "[Service]\nExecStart=/bin/false\n";
  EXPECT_EQ(cache.Find(file_.hash()), nullptr);
}

TEST_F(ContentCacheTest, KeepsOnlyWhatIsNamed) {
  DiskContentCache cache(directory_);
  const UnitFile other = *UnitFile::Parse("[Service]\nExecStart=/bin/false\n");
  cache.Store(file_);
  cache.Store(other);
  cache.KeepOnly({other.hash()});
  EXPECT_EQ(cache.Find(file_.hash()), nullptr);
  EXPECT_NE(cache.Find(other.hash()), nullptr);
}

}  // namespace
}  // namespace fleet::agent
