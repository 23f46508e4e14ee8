#include "agent/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace fleet::agent {
namespace {

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() {
    std::string name = ::testing::TempDir() + "/identity-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~IdentityTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(IdentityTest, ATokenIsMadeOnceAndKept) {
  const auto first = LoadIdentity(directory_ + "/deeper");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->token.size(), 32u);
  EXPECT_EQ(first->lease, 0);
  EXPECT_EQ(*LoadIdentity(directory_ + "/deeper"), *first);
}

TEST_F(IdentityTest, TheBootThatJoinedIsKept) {
  Identity identity = *LoadIdentity(directory_);
  EXPECT_EQ(identity.member_boot, "");
  identity.member_boot = "0c7d0c2f-6d6e-4d2c-9a3d-6a7a5f1d2b11";
  ASSERT_TRUE(SaveIdentity(directory_, identity).ok());
  EXPECT_EQ(*LoadIdentity(directory_), identity);
}

TEST_F(IdentityTest, TheLeaseIsKept) {
  auto identity = *LoadIdentity(directory_);
  identity.lease = 0x7000000000000001;
  ASSERT_TRUE(SaveIdentity(directory_, identity).ok());
  EXPECT_EQ(*LoadIdentity(directory_), identity);
}

TEST_F(IdentityTest, NobodyElseMayReadIt) {
  ASSERT_TRUE(LoadIdentity(directory_).ok());
  struct stat status {};
  ASSERT_EQ(stat((directory_ + "/identity").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(IdentityTest, AFileWithoutATokenIsAnErrorThatNamesIt) {
  std::ofstream(directory_ + "/identity") << "nonsense\n";
  const auto identity = LoadIdentity(directory_);
  EXPECT_EQ(identity.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(identity.status().message()).find(directory_), std::string::npos);
}

}  // namespace
}  // namespace fleet::agent
