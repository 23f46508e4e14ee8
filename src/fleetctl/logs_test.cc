// logs, how its lines look, and what reads them.

#include "client/endpoint.h"
#include "client/fake_server.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "fleetctl/journal_readers.h"
#include "fleetctl/log_lines.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

client::JournalEntry Entry(const std::string& unit, const std::string& message) {
  return {.time = "2026-01-02T03:04:05.000006Z",
          .unit = unit,
          .machine_id = std::string(FakeFleet::kMachine),
          .identifier = "sh",
          .message = message,
          .json = "{}"};
}

TEST(LogLines, BeginWithTheUnitItsMachineAndTheTime) {
  LogLines lines("text", /*colour=*/false);
  lines.Expect("longer.service", std::string(FakeFleet::kMachine));
  EXPECT_EQ(lines.Render(Entry("a.service", "hello")),
            "a.service/8be9f57e      | 2026-01-02T03:04:05Z sh: hello\n");
}

TEST(LogLines, AMessageOfSeveralLinesHasThePrefixOnEach) {
  LogLines lines("text", /*colour=*/false);
  EXPECT_EQ(lines.Render(Entry("a.service", "one\ntwo\n")),
            "a.service/8be9f57e | 2026-01-02T03:04:05Z sh: one\n"
            "a.service/8be9f57e | 2026-01-02T03:04:05Z sh: two\n");
}

TEST(LogLines, ColourTellsUnitsApartAndErrors) {
  LogLines lines("text", /*colour=*/true);
  const std::string first = lines.Render(Entry("a.service", "x"));
  EXPECT_THAT(first, HasSubstr("\033["));
  EXPECT_NE(first.substr(0, 5), lines.Render(Entry("b.service", "x")).substr(0, 5));
  client::JournalEntry error = Entry("a.service", "failed");
  error.priority = 3;
  EXPECT_THAT(lines.Render(error), HasSubstr("\033[31mfailed\033[0m"));
}

TEST(LogLines, NoMessageMovesTheCursor) {
  LogLines lines("cat", /*colour=*/true);
  EXPECT_EQ(lines.Render(Entry("a.service", "a\033[2Jb")), "a [2Jb\n");
}

json Said(const std::string& unit, const std::string& time, const std::string& message) {
  return {{"time", time},
          {"unit", unit},
          {"machineID", FakeFleet::kMachine},
          {"identifier", "sh"},
          {"message", message}};
}

class LogsTest : public ::testing::Test {
 protected:
  LogsTest() {
    for (const std::string name : {"a", "b"}) fleet_.Add(name + ".service", "launched");
    fleet_.journals["a.service"] = {Said("a.service", "2026-01-02T03:04:05.000001Z", "first"),
                                    Said("a.service", "2026-01-02T03:04:05.000003Z", "third")};
    fleet_.journals["b.service"] = {Said("b.service", "2026-01-02T03:04:05.000002Z", "second")};
  }
  FakeFleet fleet_;
};

TEST_F(LogsTest, OfSeveralUnitsAreInTheOrderOfTime) {
  const Result result = fleet_.Run({"logs", "-o", "cat", "a", "b*"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "first\nsecond\nthird\n");
}

TEST_F(LogsTest, OfOneThatCannotBeReadDoNotKeepTheOthersBack) {
  fleet_.Add("c.service", "launched");
  const Result result = fleet_.Run({"logs", "-o", "json", "c", "a", "absent"});
  EXPECT_NE(result.code, kDone);
  EXPECT_THAT(result.err, HasSubstr("c.service on 8be9f57e...: "));
  EXPECT_THAT(result.err, HasSubstr("listens for itself only"));
  EXPECT_THAT(result.err, HasSubstr("absent.service"));
  EXPECT_THAT(result.out, HasSubstr("\"message\":\"third\""));
}

TEST_F(LogsTest, ThatBreakOffDoNotPassForWhole) {
  fleet_.unreadable_journals["a.service"] = "journalctl failed with exit status 1";
  const Result result = fleet_.Run({"logs", "-o", "cat", "a", "b"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.out, "first\nsecond\nthird\n") << "what there is is shown";
  EXPECT_THAT(result.err, HasSubstr("a.service on 8be9f57e...: journalctl failed with exit"));
}

TEST_F(LogsTest, OfAUnitThatIsNowhereAskForAMachine) {
  fleet_.Add("idle.service", "inactive");
  fleet_.journals["idle.service"] = {Said("idle.service", "2026-01-02T03:04:05.000001Z", "was")};
  const Result result = fleet_.Run({"logs", "idle"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("--machine"));
  EXPECT_THAT(fleet_.Run({"logs", "--machine=8be9", "idle"}).out, HasSubstr("was"));
}

// Each watch here ends at once and is opened again. The journal is refused, as of a machine that
// has gone, until the third watch.
TEST(JournalReaders, ReadAMachineAgainThatHasComeBack) {
  int watches = 0;
  const client::FakeServer server(
      client::FakeServer::kLoopback, [&](const client::FakeRequest& request) {
        if (request.target.starts_with("/fleet/v1/watch")) {
          // Those that try a machine only once come to another unit in the end.
          const std::string name = ++watches > 4 ? "last.service" : "a.service";
          const json unit = {{"name", name}, {"target", FakeFleet::kMachine}};
          return client::FakeResponse{
              .chunks = {{Cat("event: unit\ndata: ", unit.dump(), "\n\n")}}};
        }
        if (request.target.find("last.service") == std::string::npos && watches < 3) {
          return client::FakeResponse{.code = 404,
                                      .body = R"({"error":{"code":404,"message":"it is away"}})"};
        }
        return client::FakeResponse{
            .chunks = {{"id: c\nevent: entry\ndata: {\"message\":\"x\"}\n\n"}}};
      });
  const auto endpoints = client::ParseEndpoints(server.endpoint());
  ASSERT_TRUE(endpoints.ok());
  JournalReaders readers({.endpoints = *endpoints}, {.follow = true});
  readers.AddWherever({"a.service", "last.service"}, {});
  const auto refused = readers.Take();
  ASSERT_TRUE(refused && !refused->entry);
  EXPECT_THAT(std::string(refused->error.message()), HasSubstr("it is away"));
  const auto back = readers.Take();
  ASSERT_TRUE(back && back->entry);  // the refusal is told once
  EXPECT_EQ(back->unit, "a.service");
}

TEST_F(LogsTest, WrongUseIsSaid) {
  EXPECT_EQ(fleet_.Run({"logs"}).code, kUsage);
  EXPECT_EQ(fleet_.Run({"logs", "-n", "-1", "a"}).code, kUsage);
  EXPECT_EQ(fleet_.Run({"logs", "-o", "short", "a"}).code, kUsage);
}

}  // namespace
}  // namespace fleet::fleetctl
