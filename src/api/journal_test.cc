// GET /units/NAME/journal, without processes and network.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/api.h"
#include "api/fake_sink.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kText[] = "[Service]\nExecStart=/bin/true\n";

class FakeStreams : public StreamIo {
 public:
  void CopyLines(std::unique_ptr<JournalReader> /*reader*/, std::shared_ptr<EventSink> sink,
                 LineConverter convert, EndConverter last) override {
    std::string text;
    for (const std::string& line : lines) text += convert(line);
    sink->Send(std::make_shared<const std::string>(text + last(ended)));
    sink->Finish();
  }
  void Forward(ForwardRequest request, Responder respond) override {
    forwarded.push_back(std::move(request));
    respond(JsonResponse(200, "forwarded"));
  }

  std::vector<std::string> lines;
  absl::Status ended;
  std::vector<ForwardRequest> forwarded;
};

class NoReader : public JournalReader {
 public:
  int descriptor() const override { return -1; }
  std::optional<absl::Status> Ended() override { return absl::OkStatus(); }
};

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    api_ = std::make_unique<Api>(ApiContext{.executor = &executor_,
                                            .store = &store_,
                                            .keys = keys_,
                                            .machine_id = "aa1",
                                            .open_journal =
                                                [&](const JournalRequest& request) {
                                                  opened_.push_back(request);
                                                  return std::make_unique<NoReader>();
                                                },
                                            .streams = &streams_});
    store_.Set(keys_.Machine("aa1"), registry::Encode(MachineRecord{}));
    store_.Set(keys_.Machine("aa2"),
               registry::Encode(MachineRecord{.api_endpoints = {"http://10.0.0.2:1"}}));
    store_.Set(keys_.Machine("bb1"),
               registry::Encode(MachineRecord{.address = "fd00::7", .hostname = "box"}));
    const UnitFile file = *UnitFile::Parse(kText);
    store_.Set(keys_.Content(file.hash()),
               registry::Encode(Content{std::make_shared<const UnitFile>(file)}));
    Put("here.service", {"aa1"});
    Put("there.service", {"aa2"});
    Put("alone.service", {"bb1"});
    Put("many.service", {"aa1", "aa2"});
    Put("nowhere.service", {});
  }

  void Put(const std::string& unit, const std::vector<std::string>& machines) {
    store_.Set(keys_.Unit(unit), registry::Encode(UnitRecord{
                                     .uid = "u", .content_hash = UnitFile::Parse(kText)->hash()}));
    for (const std::string& machine : machines)
      store_.Set(keys_.Assignment(machine, unit), registry::Encode(Assignment{.uid = "u"}));
  }

  Response Get(const std::string& path) {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    std::optional<Response> answer;
    Request request;
    request.method = "GET";
    request.target = "/fleet/v1/units/" + path;
    api_->Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    return answer ? *std::move(answer) : Response{.code = 0};
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  FakeStreams streams_;
  std::vector<JournalRequest> opened_;
  std::unique_ptr<Api> api_;
};

TEST_F(JournalTest, OfAUnitOfThisMachineIsReadHere) {
  streams_.lines = {
      R"({"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1700000000000001","MESSAGE":"hello \"you\"",)"
      R"("_PID":"7","PRIORITY":"3","SYSLOG_IDENTIFIER":"sh"})",
      "no json"};
  EXPECT_EQ(Get("here.service/journal?after=bogus").code, 400);
  Response response = Get("here.service/journal?lines=3&follow=false&after=s%3D0");
  ASSERT_TRUE(response.events) << response.body;
  ASSERT_EQ(opened_.size(), 1);
  EXPECT_EQ(opened_[0].unit, "here.service");
  EXPECT_EQ(opened_[0].lines, 3);
  EXPECT_FALSE(opened_[0].follow);
  EXPECT_EQ(opened_[0].after, "s=0");
  const auto sink = std::make_shared<FakeSink>(&executor_);
  response.events(sink);
  EXPECT_EQ(sink->TakeText(),
            "id: s=1\nevent: entry\n"
            R"(data: {"time":"2023-11-14T22:13:20.000001Z","unit":"here.service",)"
            R"("machineID":"aa1","identifier":"sh","pid":7,"priority":3,)"
            R"("message":"hello \"you\""})"
            "\n\nevent: end\ndata: {}\n\n");
  EXPECT_TRUE(sink->finished);
}

TEST_F(JournalTest, ThatCannotBeReadToItsEndSaysSoAndNotThatThisWasAll) {
  const auto last_of = [this](const std::string& query, absl::Status ended) {
    streams_.ended = std::move(ended);
    const auto sink = std::make_shared<FakeSink>(&executor_);
    Get("here.service/journal?" + query).events(sink);
    EXPECT_TRUE(sink->finished);
    return sink->TakeText();
  };
  EXPECT_EQ(last_of("", absl::OkStatus()), "event: end\ndata: {}\n\n");
  const absl::Status failed = absl::UnavailableError("journalctl failed with exit status 1");
  for (const char* query : {"", "follow=true"}) {
    const std::string last = last_of(query, failed);
    EXPECT_THAT(last, ::testing::StartsWith("event: failed\ndata: {\"reason\":\"")) << query;
    EXPECT_THAT(last, HasSubstr("machine aa1"));
    EXPECT_THAT(last, HasSubstr("exit status 1"));
  }
  // What follows ends only if something is wrong.
  EXPECT_THAT(last_of("follow=true", absl::OkStatus()), ::testing::StartsWith("event: failed\n"));
  EXPECT_TRUE(opened_.back().follow);
}

TEST_F(JournalTest, TextThatIsNotUtf8ComesThrough) {
  streams_.lines = {R"({"MESSAGE":[104,105,255]})", R"({"MESSAGE":["one","two"]})",
                    R"({"MESSAGE":null})"};
  Response response = Get("here.service/journal");
  const auto sink = std::make_shared<FakeSink>(&executor_);
  response.events(sink);
  const std::string text = sink->TakeText();
  EXPECT_THAT(text, HasSubstr("\"message\":\"hi\xEF\xBF\xBD\""));
  EXPECT_THAT(text, HasSubstr("\"message\":\"one\""));
  EXPECT_THAT(text, HasSubstr("\"message\":\"\""));
}

TEST_F(JournalTest, OfAUnitOfAnotherMachineIsAskedOfItsApi) {
  EXPECT_EQ(Get("there.service/journal?lines=3&follow=true&after=s%3D0").body, "forwarded");
  ASSERT_EQ(streams_.forwarded.size(), 1);
  EXPECT_THAT(streams_.forwarded[0].endpoints, ElementsAre("http://10.0.0.2:1"));
  EXPECT_EQ(streams_.forwarded[0].target,
            "/fleet/v1/units/there.service/"
            "journal?forwarded=true&machineID=aa2&lines=3&follow=true&after=s%3D0");
  EXPECT_TRUE(opened_.empty());
}

TEST_F(JournalTest, IsNotPassedOnTwice) {
  EXPECT_EQ(Get("there.service/journal?forwarded=true&machineID=aa2").code, 409);
  EXPECT_TRUE(streams_.forwarded.empty());
}

TEST_F(JournalTest, OfAMachineWhoseApiNobodyReachesSaysSo) {
  const Response response = Get("alone.service/journal");
  EXPECT_EQ(response.code, 409);
  const auto message = nlohmann::json::parse(response.body)["error"]["message"].get<std::string>();
  // Which machine, which settings of which file with which value, and what to do then.
  EXPECT_THAT(message, HasSubstr("machine bb1 (box), which has unit alone.service"));
  EXPECT_THAT(message, HasSubstr("set listen=[\"[fd00::7]:49153\"] in its /etc/fleet/fleet.conf"));
  EXPECT_THAT(message, HasSubstr("listen_cafile, listen_certfile and listen_keyfile"));
  EXPECT_THAT(message, HasSubstr("restart its fleetd"));
  EXPECT_THAT(message, HasSubstr("fleetctl journal alone.service"));
}

TEST_F(JournalTest, OfAUnitOnManyMachinesWantsOneNamed) {
  EXPECT_EQ(Get("many.service/journal").code, 400);
  EXPECT_TRUE(Get("many.service/journal?machineID=aa1").events);
  EXPECT_EQ(Get("many.service/journal?machineID=aa2").body, "forwarded");
  EXPECT_EQ(Get("many.service/journal?machineID=aa").code, 400);
  EXPECT_EQ(Get("many.service/journal?machineID=cc").code, 404);
}

TEST_F(JournalTest, OfAUnitThatIsNowhereIsAnError) {
  EXPECT_EQ(Get("nowhere.service/journal").code, 409);
  EXPECT_EQ(Get("none.service/journal").code, 404);
  EXPECT_EQ(Get("none/journal?machineID=aa1").code, 404);  // no pattern for journalctl
  EXPECT_TRUE(Get("nowhere.service/journal?machineID=aa1").events);
  EXPECT_EQ(Get("here.service/journal?lines=x").code, 400);
  EXPECT_EQ(Get("here.service/journal?lines=-1").code, 400);
}

TEST_F(JournalTest, OfAUnitThatTheClusterDoesNotHaveIsNobodysAlthoughItsMachineIsNamed) {
  for (const char* query : {"machineID=aa1", "machineID=aa2", "machineID=aa1&forwarded=true"}) {
    EXPECT_EQ(Get(std::string("sshd.service/journal?") + query).code, 404) << query;
  }
  EXPECT_TRUE(opened_.empty());
  EXPECT_TRUE(streams_.forwarded.empty());
}

TEST_F(JournalTest, OfAUnitThatIsDestroyedIsReadAsLongAsSomethingIsKnownOfIt) {
  store_.Set(keys_.State("aa1", "reported.service"), registry::Encode(StateReport{.uid = "u"}));
  store_.Set(keys_.Assignment("aa1", "stopping.service"),
             registry::Encode(Assignment{.uid = "u", .state = AssignmentState::kGone}));
  EXPECT_TRUE(Get("reported.service/journal?machineID=aa1").events);
  EXPECT_TRUE(Get("stopping.service/journal?machineID=aa1").events);
}

}  // namespace
}  // namespace fleet::api
