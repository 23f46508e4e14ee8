#include "client/sse.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SseParser, GivesAnEventAtItsBlankLine) {
  SseParser parser;
  EXPECT_THAT(parser.Feed("id: 7\nevent: unit\ndata: {\"a\":1}\n"), IsEmpty());
  EXPECT_THAT(parser.Feed("\n"), ElementsAre(SseEvent{"7", "unit", "{\"a\":1}"}));
}

TEST(SseParser, TakesBytesInAnyPieces) {
  const std::string text =
      "id: 1\r\nevent: sync\r\ndata: one\r\ndata:two\r\n\r\nevent: x\ndata: y\n\n";
  SseParser whole;
  const auto expected = whole.Feed(text);
  ASSERT_THAT(expected, ElementsAre(SseEvent{"1", "sync", "one\ntwo"}, SseEvent{"1", "x", "y"}));
  SseParser parser;
  std::vector<SseEvent> events;
  for (const char c : text) {
    for (auto& event : parser.Feed({&c, 1})) events.push_back(event);
  }
  EXPECT_EQ(events, expected);
}

TEST(SseParser, DropsCommentsAndEventsWithoutData) {
  SseParser parser;
  EXPECT_THAT(parser.Feed(": keep-alive\n\nevent: nothing\n\ndata: x\n\n"),
              ElementsAre(SseEvent{"", "", "x"}));
}

}  // namespace
}  // namespace fleet::client
