#include "host/lock_id.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace fleet::host {
namespace {

std::string OwnMachineId() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  std::getline(file, id);
  return id;
}

TEST(LockId, IsDerivedFromTheMachineIdAndIsAnotherOne) {
  const std::string own = OwnMachineId();
  if (own.size() != 32) GTEST_SKIP() << "this machine has no id";
  const std::string derived = LockIdOf(own);
  ASSERT_EQ(derived.size(), 32u);
  EXPECT_NE(derived, own);
  EXPECT_EQ(derived[12], '4');  // a UUID of version 4
  EXPECT_EQ(LockIdOf(own), derived);
}

TEST(LockId, ThereIsNoneForAnotherMachine) {
  EXPECT_EQ(LockIdOf("00000000000000000000000000000001"), "");
  EXPECT_EQ(LockIdOf(""), "");
}

}  // namespace
}  // namespace fleet::host
