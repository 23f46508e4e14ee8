#include "client/warning.h"

#include "gtest/gtest.h"

namespace fleet::client {
namespace {

TEST(ParseWarning, GivesTheCodeAndTheQuotedText) {
  EXPECT_EQ(ParseWarning("110 fleetd \"old: \\\"x\\\"\""), (Warning{"110", "old: \"x\""}));
  EXPECT_EQ(ParseWarning(" 299 - \"a\" \"Sun, 22 Nov 2026 08:00:00 GMT\""), (Warning{"299", "a"}));
}

TEST(ParseWarning, IsNothingWithoutACodeOrAText) {
  for (const char* header : {"", "110", "110 fleetd", "fleetd \"x\"", "\"110 x\""})
    EXPECT_EQ(ParseWarning(header), std::nullopt) << header;
}

}  // namespace
}  // namespace fleet::client
