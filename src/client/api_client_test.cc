#include "client/api_client.h"

#include <unistd.h>

#include "client/clock.h"
#include "client/fake_server.h"
#include "client/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string SocketPath() { return Cat(testing::TempDir(), "fleet-client-", getpid(), ".sock"); }

ClientOptions OptionsFor(const std::string& endpoints) {
  return {.endpoints = *ParseEndpoints(endpoints), .request_timeout = absl::Seconds(20)};
}

FakeServer::Handler Always(const FakeResponse& response) {
  return [response](const FakeRequest&) { return response; };
}

TEST(ApiClient, ReadsAUnitOverAUnixSocket) {
  FakeServer server(SocketPath(), Always({.body = R"({"name":"a.service","desiredState":"launched",
      "machineID":"m1","progress":"reached","systemdActiveState":"active","content":"[Unit]\n"})"}));
  ApiClient client(OptionsFor(server.endpoint()));
  const auto unit = client.GetUnit("web@1.service");
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_EQ(unit->name, "a.service");
  EXPECT_EQ(unit->content, "[Unit]\n");
  EXPECT_EQ(unit->status.machine_id, "m1");
  EXPECT_EQ(unit->status.active_state, "active");
  EXPECT_EQ(server.requests()[0].target, "/fleet/v1/units/web%401.service");
}

TEST(ApiClient, FollowsPagesOnOneConnection) {
  FakeServer server(FakeServer::kLoopback, [](const FakeRequest& request) {
    if (request.target.find("nextPageToken=p%2F2") != std::string::npos)
      return FakeResponse{.body = R"({"units":[{"name":"b.service"}]})"};
    return FakeResponse{.body = R"({"units":[{"name":"a.service"}],"nextPageToken":"p/2"})"};
  });
  ApiClient client(OptionsFor(server.endpoint()));
  const auto units = client.ListUnits(ApiClient::View::kSummary, true);
  ASSERT_TRUE(units.ok()) << units.status();
  ASSERT_EQ(units->size(), 2U);
  EXPECT_EQ((*units)[1].name, "b.service");
  EXPECT_EQ((*units)[1].json, R"({"name":"b.service"})");
  EXPECT_EQ(server.connections(), 1);
  EXPECT_THAT(server.requests()[0].target, HasSubstr("view=summary"));
}

TEST(ApiClient, ConnectsAgainWhenTheServerHasClosed) {
  FakeServer server(FakeServer::kLoopback, Always({.body = R"({"name":"a"})", .close = true}));
  ApiClient client(OptionsFor(server.endpoint()));
  EXPECT_TRUE(client.GetUnit("a").ok());
  EXPECT_TRUE(client.GetUnit("a").ok());
  EXPECT_EQ(server.connections(), 2);
}

TEST(ApiClient, TriesTheEndpointsInOrder) {
  FakeServer server(FakeServer::kLoopback, Always({.body = R"({"machines":[{"id":"m"}]})"}));
  ApiClient client(OptionsFor(Cat("unix:///nonexistent/fleet.sock,", server.endpoint())));
  const auto machines = client.ListMachines();
  ASSERT_TRUE(machines.ok()) << machines.status();
  EXPECT_EQ((*machines)[0].id, "m");
}

TEST(ApiClient, NamesEachEndpointWhenNoneCanBeConnectedTo) {
  ApiClient client(OptionsFor("unix:///nonexistent/a.sock,unix:///nonexistent/b.sock"));
  const auto machines = client.ListMachines();
  EXPECT_TRUE(IsNotConnected(machines.status()));
  EXPECT_THAT(std::string(MessageOf(machines.status())),
              HasSubstr("unix:///nonexistent/a.sock: No such"));
  EXPECT_THAT(std::string(MessageOf(machines.status())),
              HasSubstr("unix:///nonexistent/b.sock: No such"));
}

TEST(ApiClient, GivesTheServersMessageWithTheCodeOfItsStatus) {
  struct Case {
    int http;
    absl::StatusCode code;
  };
  for (const Case& c :
       {Case{400, absl::StatusCode::kInvalidArgument}, Case{404, absl::StatusCode::kNotFound},
        Case{409, absl::StatusCode::kFailedPrecondition},
        Case{503, absl::StatusCode::kUnavailable}}) {
    FakeServer server(FakeServer::kLoopback,
                      Always({.code = c.http, .body = R"({"error":{"code":1,"message":"why"}})"}));
    ApiClient client(OptionsFor(server.endpoint()));
    const auto unit = client.GetUnit("a.service");
    EXPECT_EQ(unit.status().code(), c.code);
    EXPECT_EQ(MessageOf(unit.status()), "why");
    EXPECT_FALSE(IsNotConnected(unit.status()));
  }
}

TEST(ApiClient, GivesUpOnAServerThatDoesNotAnswer) {
  FakeServer server(FakeServer::kLoopback, Always({.hang = true}));
  ClientOptions options = OptionsFor(server.endpoint());
  options.request_timeout = absl::Milliseconds(20);
  ApiClient client(options);
  const auto unit = client.GetUnit("a.service");
  EXPECT_FALSE(unit.ok());
  EXPECT_FALSE(IsNotConnected(unit.status()));
}

TEST(ApiClient, ReportsAnAnswerThatIsNotHttp) {
  FakeServer server(FakeServer::kLoopback, Always({.body = "not json"}));
  ApiClient client(OptionsFor(server.endpoint()));
  EXPECT_EQ(client.GetUnit("a").status().code(), absl::StatusCode::kInternal);
}

TEST(ApiClient, TellsWhatServersWarnOfOnceForEachKind) {
  int seconds = 0;
  FakeServer server(FakeServer::kLoopback, [&](const FakeRequest&) {
    return FakeResponse{.body = "{}",
                        .headers = Cat("Warning: 110 fleetd \"", ++seconds, " s old\"\r\n",
                                       "Warning: 299 - \"odd\"\r\n")};
  });
  ClientOptions options = OptionsFor(server.endpoint());
  std::vector<std::string> told;
  options.warn = [&](std::string_view text) { told.emplace_back(text); };
  ApiClient client(options);
  EXPECT_TRUE(client.ListMachines().ok());
  EXPECT_TRUE(client.ListStates().ok());
  EXPECT_THAT(told, ElementsAre("1 s old", "odd"));
}

TEST(ApiClient, AProbedEndpointThatDoesNotAnswerIsNotConnectedTo) {
  FakeServer dead(FakeServer::kLoopback, Always({.hang = true}));
  FakeServer server(FakeServer::kLoopback, Always({.body = R"({"revision":1,"results":[{}]})"}));
  ClientOptions options = OptionsFor(dead.endpoint());
  options.request_timeout = absl::Milliseconds(20);
  options.probe = true;
  EXPECT_TRUE(IsNotConnected(ApiClient(options).Batch({{.name = "a"}}).status()));

  options.endpoints = *ParseEndpoints(Cat(dead.endpoint(), ",", server.endpoint()));
  const auto answer = ApiClient(options).Batch({{.name = "a"}});
  EXPECT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[0].target, "/healthz");
  EXPECT_EQ(server.connections(), 1);
}

TEST(ApiClient, SendsOnlyTheMembersOfAChangeThatAreSet) {
  FakeServer server(FakeServer::kLoopback,
                    Always({.body = R"({"revision":9,"results":[{"name":"a","code":201},
              {"name":"b","code":404,"message":"no such unit"}]})"}));
  ApiClient client(OptionsFor(server.endpoint()));
  const auto answer = client.Batch({{.name = "a", .desired_state = "launched", .content = "x\n"},
                                    {.name = "b", .destroy = true}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->revision, 9);
  EXPECT_EQ(answer->results[1].code, 404);
  EXPECT_EQ(answer->results[1].message, "no such unit");
  EXPECT_EQ(server.requests()[0].body,
            R"({"changes":[{"content":"x\n","desiredState":"launched","name":"a"},)"
            R"({"destroy":true,"name":"b"}]})");
}

TEST(ApiClient, SplitsABatchOfMoreThanTenThousandChanges) {
  FakeServer server(FakeServer::kLoopback, [](const FakeRequest& request) {
    size_t count = 0;
    for (size_t at = 0; (at = request.body.find("\"name\"", at)) != std::string::npos; ++at)
      ++count;
    std::vector<std::string> results(count, R"({"code":204})");
    return FakeResponse{.body = Cat(R"({"revision":5,"results":[)", Join(results, ","), "]}")};
  });
  ApiClient client(OptionsFor(server.endpoint()));
  const auto answer =
      client.Batch(std::vector<UnitChange>(10'001, UnitChange{.name = "a.service"}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->results.size(), 10'001U);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(ApiClient, PatchesMetadataInRequestsOfOneHundredOperations) {
  FakeServer server(FakeServer::kLoopback, Always({.code = 204}));
  ApiClient client(OptionsFor(server.endpoint()));
  std::vector<MetadataChange> changes(101, {.machine_id = "m1", .key = "zone", .value = "a"});
  changes.back() = {.machine_id = "m2", .key = "a/b~c", .value = std::nullopt};
  ASSERT_TRUE(client.PatchMetadata(changes).ok());
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[0].method, "PATCH");
  EXPECT_EQ(server.requests()[1].body, R"([{"op":"remove","path":"/m2/metadata/a~1b~0c"}])");
  EXPECT_TRUE(client.PatchMetadata({}).ok());
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(ApiClient, GivesTheEventsOfAWatch) {
  FakeServer server(FakeServer::kLoopback,
                    Always({.chunks = {{"id: 3\nevent: unit\ndata: {\"name\":\"a.serv",
                                        "ice\"}\n\nevent: sync\ndata: {\"revision\":4}\n\n",
                                        ": comment\n\nevent: future\ndata: {}\n\n",
                                        "id: 5\nevent: state-removed\ndata: "
                                        "{\"name\":\"a.service\",\"machineID\":\"m\"}\n\n"}}}));
  ApiClient client(OptionsFor(server.endpoint()));
  const auto stream = client.Watch({.units = true, .states = true, .names = {"a.service"}});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(server.requests()[0].target, "/fleet/v1/watch?resource=units,state&unit=a.service");
  const absl::Time deadline = MonotonicNow() + absl::Seconds(20);
  auto event = (*stream)->Next(deadline);
  ASSERT_TRUE(event.ok() && *event) << event.status();
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kUnit);
  EXPECT_EQ((*event)->unit.name, "a.service");
  event = (*stream)->Next(deadline);
  ASSERT_TRUE(event.ok() && *event);
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kSync);
  EXPECT_EQ((*event)->revision, 4);
  event = (*stream)->Next(deadline);
  ASSERT_TRUE(event.ok() && *event);
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kStateRemoved);
  EXPECT_EQ((*event)->machine_id, "m");
  EXPECT_TRUE(absl::IsUnavailable((*stream)->Next(deadline).status()));
}

TEST(ApiClient, AWatchThatIsRefusedGivesTheServersMessage) {
  FakeServer server(FakeServer::kLoopback,
                    Always({.code = 503, .body = R"({"error":{"code":503,"message":"later"}})"}));
  ApiClient client(OptionsFor(server.endpoint()));
  const auto stream = client.Watch({.units = true});
  EXPECT_TRUE(absl::IsUnavailable(stream.status()));
  EXPECT_EQ(MessageOf(stream.status()), "later");
}

TEST(CoverByGlobs, KeepsFewNamesAsTheyAre) {
  EXPECT_THAT(CoverByGlobs({"b.service", "a.service"}, 100), ElementsAre("a.service", "b.service"));
}

TEST(CoverByGlobs, ShortensManyNamesToCommonPrefixes) {
  std::vector<std::string> names;
  for (int i = 100; i < 200; ++i) names.push_back(Cat("web@", i, ".service"));
  names.emplace_back("db.service");
  const auto globs = CoverByGlobs(names, 40);
  size_t bytes = 0;
  for (const std::string& glob : globs) bytes += glob.size();
  EXPECT_LE(bytes, 40U);
  EXPECT_THAT(globs, testing::Contains(testing::StartsWith("web@1")));
  EXPECT_THAT(globs, testing::Contains(testing::StartsWith("db.se")));
  EXPECT_THAT(globs, Not(testing::Contains("*")));
}

TEST(UrlEncode, LeavesUnreservedCharactersOnly) {
  EXPECT_EQ(UrlEncode("web@1.service"), "web%401.service");
  EXPECT_EQ(UrlEncode("a b/\\\xC3"), "a%20b%2F%5C%C3");
}

}  // namespace
}  // namespace fleet::client
