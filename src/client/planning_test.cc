#include "client/planning.h"

#include "client/api_client.h"
#include "client/fake_server.h"
#include "client/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClientOptions OptionsFor(const FakeServer& server) {
  return {.endpoints = *ParseEndpoints(server.endpoint()), .request_timeout = absl::Seconds(20)};
}

FakeServer::Handler Always(const std::string& body) {
  return [body](const FakeRequest&) { return FakeResponse{.body = body}; };
}

TEST(Planning, ReadsAnExplanation) {
  FakeServer server(FakeServer::kLoopback, Always(R"({"revision":7,"unit":"web@1.service",
      "state":"waiting","machines":["m1"],"reason":"no machine is eligible","together":["a","b"],
      "total":3,"ruledOut":[{"constraint":"MachineID x","machines":2,"inAll":3,"alone":1}],
      "remedies":[{"kind":"machineId","change":"2 machines fit but for MachineID","machines":2}],
      "conflicts":["c.service"],"notes":["no machine has zone=c"],
      "verdicts":[{"machineID":"m1","eligible":true,"ruledOutBy":[],"score":{"spreadValue":"a",
        "spread":1,"load":250000,"byShare":true,"runsThere":true}},
        {"machineID":"m2","eligible":false,"ruledOutBy":["MachineID x"]}]})"));
  ApiClient client(OptionsFor(server));
  const auto explained = client.Explain("web@1.service", true);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(server.requests()[0].target, "/fleet/v1/units/web%401.service/explain?machines=true");
  EXPECT_EQ(explained->state, "waiting");
  EXPECT_EQ(explained->total, 3);
  EXPECT_THAT(explained->together, ElementsAre("a", "b"));
  ASSERT_EQ(explained->ruled_out.size(), 1U);
  EXPECT_EQ(explained->ruled_out[0].in_all, 3);
  EXPECT_EQ(explained->remedies.at(0).change, "2 machines fit but for MachineID");
  EXPECT_THAT(explained->notes, ElementsAre("no machine has zone=c"));
  ASSERT_EQ(explained->verdicts.size(), 2U);
  EXPECT_TRUE(explained->verdicts[0].score.by_share);
  EXPECT_EQ(explained->verdicts[0].score.load, 250'000);
  EXPECT_FALSE(explained->verdicts[1].eligible);
  EXPECT_THAT(explained->verdicts[1].ruled_out_by, ElementsAre("MachineID x"));
}

TEST(Planning, SendsOnlyTheMembersOfAPlanThatAreSet) {
  FakeServer server(FakeServer::kLoopback, Always(R"({"revision":7,"changes":[
      {"change":"move","unit":"a.service","from":"m1","machine":"m2","reason":"why"}]})"));
  ApiClient client(OptionsFor(server));
  const auto plan = client.MakePlan(
      {.verb = "start", .units = {{.name = "a.service", .content = "x\n"}, {.name = "b.service"}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->revision, 7);
  ASSERT_EQ(plan->changes.size(), 1U);
  EXPECT_EQ(plan->changes[0].from, "m1");
  EXPECT_EQ(plan->changes[0].machine, "m2");
  EXPECT_EQ(server.requests()[0].body,
            R"({"units":[{"content":"x\n","name":"a.service"},{"name":"b.service"}],)"
            R"("verb":"start"})");
  ASSERT_TRUE(client.MakePlan({.verb = "add", .machine = "m1", .count = 2}).ok());
  EXPECT_EQ(server.requests()[1].body, R"({"count":2,"machine":"m1","verb":"add"})");
}

TEST(Planning, ARebalanceMayBeBounded) {
  FakeServer server(FakeServer::kLoopback,
                    Always(R"({"revision":7,"changes":[],"skipped":["a.service"]})"));
  ApiClient client(OptionsFor(server));
  const auto moves = client.Rebalance(std::nullopt);
  ASSERT_TRUE(moves.ok()) << moves.status();
  EXPECT_THAT(moves->changes, IsEmpty());
  EXPECT_THAT(moves->skipped, ElementsAre("a.service"));
  ASSERT_TRUE(client.Rebalance(3).ok());
  EXPECT_EQ(server.requests()[0].body, "{}");
  EXPECT_EQ(server.requests()[1].body, R"({"maxMoves":3})");
}

TEST(Planning, AnExplanationThatNobodyIsPatientForEndsWithTheTimeoutOfRequests) {
  FakeServer server(FakeServer::kLoopback,
                    [](const FakeRequest&) { return FakeResponse{.hang = true}; });
  ClientOptions options = OptionsFor(server);
  options.request_timeout = absl::Milliseconds(20);
  ApiClient client(options);
  EXPECT_FALSE(client.Explain("a.service", false, /*patient=*/false).ok());
}

TEST(Planning, AnErrorIsTheServersMessage) {
  FakeServer server(FakeServer::kLoopback, [](const FakeRequest&) {
    return FakeResponse{.code = 404,
                        .body = R"({"error":{"code":404,"message":"unit x does not exist"}})"};
  });
  ApiClient client(OptionsFor(server));
  const auto plan = client.MakePlan({.verb = "start", .units = {{.name = "x"}}});
  EXPECT_TRUE(absl::IsNotFound(plan.status()));
  EXPECT_THAT(std::string(MessageOf(plan.status())), HasSubstr("unit x does not exist"));
}

}  // namespace
}  // namespace fleet::client
