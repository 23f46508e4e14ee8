#include "base/ids.h"

#include <gtest/gtest.h>

namespace fleet {
namespace {

TEST(Ids, RandomIdsAreHexAndDiffer) {
  const std::string id = RandomId();
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(id, RandomId());
}

TEST(Ids, HashIsSha256) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace fleet
