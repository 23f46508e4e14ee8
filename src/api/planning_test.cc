// Explanations and plans over the API: with the API in a loop and a thread of its own, as in
// fleetd, and a stand-in for what makes the plans.

#include "api/planning.h"

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/api.h"
#include "base/loop.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/mirror.h"
#include "registry/testing/fake_store.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using reconcile::PlannedChange;
using reconcile::PlanRequest;
using reconcile::RebalanceMove;
using reconcile::UnitExplanation;
using ::testing::HasSubstr;
using Verb = PlanRequest::Verb;

// Given once, from any thread. (absl's is not compiled for the thread sanitizer.)
class Signal {
 public:
  void Give() { given_.set_value(); }
  void Wait() { wait_.wait(); }

 private:
  std::promise<void> given_;
  std::shared_future<void> wait_ = given_.get_future();
};

class PlanningApi : public ::testing::Test {
 protected:
  PlanningApi() : thread_([this] { loop_.Run(); }) {
    Do([&] {
      for (const char* machine : {"aa1", "aa2", "bb1"})
        store_.Set(keys_.Machine(machine), registry::Encode(MachineRecord{}));
      for (const char* unit : {"a.service", "b.service"})
        store_.Set(keys_.Unit(unit), registry::Encode(UnitRecord{.uid = "u"}));
    });
    Signal shown;
    Do([&] {
      api_ = std::make_unique<Api>(
          ApiContext{.executor = &loop_, .store = &store_, .keys = keys_, .planner = Stand()});
      mirror_ = std::make_unique<registry::Mirror>(&store_, &loop_, keys_,
                                                   [&, this](const ViewChange& change) {
                                                     if (api_) api_->OnViewChange(change);
                                                     if (!std::exchange(shows_, true)) shown.Give();
                                                   });
      mirror_->Start();
    });
    shown.Wait();
  }

  void TearDown() override {
    Do([&] {
      mirror_.reset();
      api_.reset();
      loop_.Stop();
    });
    thread_.join();
  }

  // Runs `what` in the API loop.
  template <typename What>
  void Do(What what) {
    Signal done;
    loop_.Post([&] {
      what();
      done.Give();
    });
    done.Wait();
  }

  std::future<Response> Begin(std::string method, std::string target, std::string body = {}) {
    auto answer = std::make_shared<std::promise<Response>>();
    std::future<Response> future = answer->get_future();
    Do([&] {
      Request request;
      request.method = std::move(method);
      request.target = std::move(target);
      request.body = std::move(body);
      api_->Handle(std::move(request), [answer, this](Response response) {
        answered_in_ = std::this_thread::get_id();
        answer->set_value(std::move(response));
      });
    });
    return future;
  }
  Response Send(std::string method, std::string target, std::string body = {}) {
    return Begin(std::move(method), std::move(target), std::move(body)).get();
  }
  Response PostPlan(const json& body) { return Send("POST", "/fleet/v1/plan", body.dump()); }

  static std::string MessageOf(const Response& response) {
    return json::parse(response.body)["error"]["message"].get<std::string>();
  }

  // Stands in for the planner; answers what the members say.
  Planner Stand() {
    return {.explain =
                [this](const ClusterViewPtr& view, const reconcile::EngineSettings&,
                       const std::string& unit) {
                  planned_in_ = std::this_thread::get_id();
                  if (before_work_) before_work_();
                  explanation_.revision = view->revision;
                  explanation_.unit = unit;
                  return absl::StatusOr<UnitExplanation>(explanation_);
                },
            .plan =
                [this](const ClusterViewPtr& view, const reconcile::EngineSettings&,
                       const PlanRequest& request) {
                  request_ = request;
                  if (plan_.ok()) plan_->revision = view->revision;
                  return plan_;
                },
            .rebalance =
                [this](const ClusterViewPtr&, const reconcile::EngineSettings&, size_t max_moves) {
                  max_moves_ = max_moves;
                  if (before_work_) before_work_();
                  return absl::StatusOr<std::vector<RebalanceMove>>(moves_);
                }};
  }

  UnitExplanation explanation_;
  absl::StatusOr<reconcile::Plan> plan_ = reconcile::Plan{};
  std::vector<RebalanceMove> moves_;
  std::function<void()> before_work_;
  PlanRequest request_;
  size_t max_moves_ = 0;
  std::thread::id planned_in_;
  std::thread::id answered_in_;

  Loop loop_{"api"};
  registry::Keys keys_{"/fleet/"};
  registry::testing::FakeStore store_{&loop_};
  std::unique_ptr<Api> api_;
  std::unique_ptr<registry::Mirror> mirror_;
  bool shows_ = false;
  std::thread thread_;
};

TEST_F(PlanningApi, ExplainsAUnit) {
  explanation_.state = UnitExplanation::State::kWaiting;
  explanation_.reason = "no machine is eligible";
  explanation_.together = {"a.service", "b.service"};
  explanation_.explanation.machines = 3;
  explanation_.explanation.ruled_out = {
      {.constraint = "MachineID x", .machines = 2, .in_all = 3, .alone = 1}};
  explanation_.explanation.also = {{.constraint = "Conflicts with c", .in_all = 1}};
  explanation_.explanation.remedies = {{.kind = scheduler::Remedy::Kind::kReserveMemory,
                                        .of = "b.service",
                                        .amount = 3 << 20,
                                        .machines = 2,
                                        .text = "2 machines fit but for ReserveMemory=4M"}};
  explanation_.explanation.conflicts = {"c.service"};
  explanation_.explanation.notes = {"no machine has zone=c"};
  explanation_.verdicts = {
      {.machine = "aa1", .ruled_out_by = {"MachineID x"}, .score = {}},
      {.machine = "aa2",
       .ruled_out_by = {},
       .score = {.spread_value = "a", .spread = 1, .by_share = true, .load = 7}}};
  Response response = Send("GET", "/fleet/v1/units/a.service/explain");
  ASSERT_EQ(response.code, 200) << response.body;
  json body = json::parse(response.body);
  EXPECT_GT(body["revision"], 0);
  body.erase("revision");
  EXPECT_EQ(body, json::parse(R"json({"unit":"a.service","state":"waiting","machines":[],
      "reason":"no machine is eligible","together":["a.service","b.service"],"total":3,
      "ruledOut":[{"constraint":"MachineID x","machines":2,"inAll":3,"alone":1},
                  {"constraint":"Conflicts with c","machines":0,"inAll":1,"alone":0}],
      "remedies":[{"kind":"reserveMemory","change":"2 machines fit but for ReserveMemory=4M",
                   "machines":2,"of":"b.service","amount":3145728}],
      "conflicts":["c.service"],"notes":["no machine has zone=c"]})json"));
  response = Send("GET", "/fleet/v1/units/a.service/explain?machines=true");
  EXPECT_EQ(json::parse(response.body)["verdicts"], json::parse(R"json([
      {"machineID":"aa1","eligible":false,"ruledOutBy":["MachineID x"],
       "score":{"load":0,"byShare":false,"runsThere":false}},
      {"machineID":"aa2","eligible":true,"ruledOutBy":[],
       "score":{"spreadValue":"a","spread":1,"load":7,"byShare":true,"runsThere":false}}])json"));
}

TEST_F(PlanningApi, ExplainsNoUnitThatThereIsNot) {
  EXPECT_EQ(Send("GET", "/fleet/v1/units/none.service/explain").code, 404);
  EXPECT_EQ(Send("GET", "/fleet/v1/units//explain").code, 404);
  EXPECT_EQ(Send("POST", "/fleet/v1/units/a.service/explain").code, 405);
}

TEST_F(PlanningApi, PlansInAThreadAndAnswersInTheApisLoop) {
  EXPECT_EQ(Send("GET", "/fleet/v1/units/a.service/explain").code, 200);
  std::thread::id loop;
  Do([&] { loop = std::this_thread::get_id(); });
  EXPECT_NE(planned_in_, loop);
  EXPECT_EQ(answered_in_, loop);
}

TEST_F(PlanningApi, AnswersOthersWhileItPlans) {
  Signal begun;
  Signal end;
  before_work_ = [&] {
    begun.Give();
    end.Wait();
  };
  auto explained = Begin("GET", "/fleet/v1/units/a.service/explain");
  begun.Wait();
  EXPECT_EQ(Send("GET", "/fleet/v1/units/a.service").code, 200);
  end.Give();
  EXPECT_EQ(explained.get().code, 200);
}

TEST_F(PlanningApi, MoreThanASetNumberDoNotWait) {
  std::once_flag once;
  Signal begun;
  Signal end;
  before_work_ = [&] {
    std::call_once(once, [&] { begun.Give(); });
    end.Wait();
  };
  std::vector<std::future<Response>> answers;
  answers.push_back(Begin("GET", "/fleet/v1/units/a.service/explain"));
  begun.Wait();
  for (size_t i = 0; i < Planning::kMaxWaiting; ++i)
    answers.push_back(Begin("GET", "/fleet/v1/units/a.service/explain"));
  const Response refused = PostPlan({{"verb", "rebalance"}});
  EXPECT_EQ(refused.code, 503);
  EXPECT_THAT(refused.headers, ::testing::Contains(::testing::Pair("Retry-After", "1")));
  end.Give();
  for (auto& answer : answers) EXPECT_EQ(answer.get().code, 200);
  EXPECT_EQ(PostPlan({{"verb", "rebalance"}}).code, 200);
}

TEST_F(PlanningApi, EndsWhileWorkIsRunning) {
  Signal begun;
  Signal end;
  Signal over;
  before_work_ = [&] {
    begun.Give();
    end.Wait();
    over.Give();
  };
  auto running = Begin("GET", "/fleet/v1/units/a.service/explain");
  auto waiting = Begin("GET", "/fleet/v1/units/a.service/explain");
  begun.Wait();
  Do([&] { api_.reset(); });
  EXPECT_THROW(waiting.get(), std::future_error);  // never answered
  end.Give();
  over.Wait();
  EXPECT_THROW(running.get(), std::future_error);
}

TEST_F(PlanningApi, GivesThePlanner) {
  plan_->changes = {{.kind = PlannedChange::Kind::kMove,
                     .unit = "a.service",
                     .from = "aa1",
                     .machine = "bb1",
                     .reason = "why"},
                    {.kind = PlannedChange::Kind::kWait, .unit = "b.service", .from = "aa1"}};
  Response response = PostPlan({{"verb", "start"},
                                {"units",
                                 {{{"name", "a.service"}, {"content", "[Service]\nExecStart=/x\n"}},
                                  {{"name", "web@1.service"}}}}});
  ASSERT_EQ(response.code, 200) << response.body;
  json body = json::parse(response.body);
  EXPECT_EQ(body["changes"], json::parse(R"([
      {"change":"move","unit":"a.service","from":"aa1","machine":"bb1","reason":"why"},
      {"change":"wait","unit":"b.service","from":"aa1"}])"));
  EXPECT_EQ(request_.verb, Verb::kStart);
  ASSERT_EQ(request_.units.size(), 2U);
  EXPECT_EQ(request_.units[0].file->text(), "[Service]\nExecStart=/x\n");
  EXPECT_EQ(request_.units[1].file, nullptr);

  EXPECT_EQ(PostPlan({{"verb", "scale"}, {"units", {{{"name", "w@.service"}}}}, {"count", 0}}).code,
            200);
  EXPECT_EQ(request_.verb, Verb::kScale);
  EXPECT_EQ(request_.count, 0U);
  EXPECT_FALSE(request_.resets);
  EXPECT_EQ(
      PostPlan({{"verb", "scale"}, {"units", {{{"name", "w@.service"}}}}, {"reset", true}}).code,
      200);
  EXPECT_TRUE(request_.resets);
  EXPECT_EQ(PostPlan({{"verb", "rebalance"}, {"maxMoves", 3}}).code, 200);
  EXPECT_EQ(request_.max_moves, 3U);
  EXPECT_EQ(PostPlan({{"verb", "add"}, {"machine", "bb1"}, {"count", 2}}).code, 200);
  EXPECT_EQ(request_.verb, Verb::kAdd);
  EXPECT_EQ(request_.count, 2U);
}

TEST_F(PlanningApi, TakesTheBeginningOfAMachinesId) {
  EXPECT_EQ(PostPlan({{"verb", "drain"}, {"machine", "b"}}).code, 200);
  EXPECT_EQ(request_.machine, "bb1");
  Response response = PostPlan({{"verb", "lose"}, {"machine", "aa"}});
  EXPECT_EQ(response.code, 400);
  EXPECT_THAT(MessageOf(response), HasSubstr("any of the machines aa1, aa2"));
  response = PostPlan({{"verb", "lose"}, {"machine", "cc"}});
  EXPECT_EQ(response.code, 404);
  EXPECT_EQ(MessageOf(response), "nothing is known of a machine cc");
}

TEST_F(PlanningApi, RefusesWhatIsNoPlan) {
  for (const char* body :
       {"", "[]", R"({"verb":"stop"})", R"({"verb":"start"})", R"({"verb":"start","units":[]})",
        R"({"verb":"start","units":["a.service"]})", R"({"verb":"start","units":[{"name":"a/b"}]})",
        R"({"verb":"start","units":[{"name":"a.service","content":"[Unit"}]})",
        R"({"verb":"start","units":[{"name":"a.service","content":"[X-Fleet]\nGlobel=1\n"}]})",
        R"({"verb":"start","units":[{"name":"a.service"},{"name":"a.service"}]})",
        R"({"verb":"destroy","units":{}})", R"({"verb":"drain"})",
        R"({"verb":"scale","units":[{"name":"w@.service"}]})",
        R"({"verb":"scale","units":[{"name":"w@.service"}],"reset":false})",
        R"({"verb":"scale","units":[{"name":"w@.service"}],"count":1,"reset":true})",
        R"({"verb":"scale","units":[{"name":"w@.service"}],"count":-1})",
        R"({"verb":"scale","units":[{"name":"w@.service"},{"name":"x@.service"}],"count":1})",
        R"({"verb":"add","machine":"bb1","count":0})", R"({"verb":"rebalance","maxMoves":"2"})"}) {
    const Response response = Send("POST", "/fleet/v1/plan", body);
    EXPECT_EQ(response.code, 400) << body << response.body;
  }
  EXPECT_EQ(
      PostPlan({{"verb", "start"},
                {"units",
                 {{{"name", "a.service"}, {"content", "[X-Fleet]\nGlobel=1\n"}, {"force", true}}}}})
          .code,
      200);
}

TEST_F(PlanningApi, AnErrorOfThePlannerHasItsStatus) {
  plan_ = absl::NotFoundError("unit x.service does not exist");
  const Response response = PostPlan({{"verb", "destroy"}, {"units", {{{"name", "x.service"}}}}});
  EXPECT_EQ(response.code, 404);
  EXPECT_EQ(MessageOf(response), "unit x.service does not exist");
}

TEST_F(PlanningApi, ARebalanceIsWrittenAndAnsweredWhenItShows) {
  moves_ = {{.unit = "a.service", .from = "aa1", .to = "bb1", .reason = "why"}};
  const Response response = Send("POST", "/fleet/v1/rebalance", R"({"maxMoves":2})");
  ASSERT_EQ(response.code, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body["changes"], json::parse(R"([{"change":"move","unit":"a.service","from":"aa1",
                                              "machine":"bb1","reason":"why"}])"));
  EXPECT_EQ(max_moves_, 2U);
  const json unit = json::parse(Send("GET", "/fleet/v1/units/a.service").body);
  EXPECT_EQ(unit["moveTo"], "bb1");
  EXPECT_EQ(unit["uid"], "u");
  Do([&] { EXPECT_EQ(body["revision"], store_.revision()); });
}

TEST_F(PlanningApi, ARebalanceLeavesOutWhatOthersHaveChanged) {
  moves_ = {{.unit = "a.service", .from = "aa1", .to = "bb1", .reason = "why"},
            {.unit = "b.service", .from = "aa1", .to = "bb1", .reason = "why"}};
  before_work_ = [&] {
    Do([&] { store_.Set(keys_.Unit("b.service"), registry::Encode(UnitRecord{.uid = "v"})); });
  };
  const json body = json::parse(Send("POST", "/fleet/v1/rebalance").body);
  ASSERT_EQ(body["changes"].size(), 1U);
  EXPECT_EQ(body["changes"][0]["unit"], "a.service");
  EXPECT_EQ(body["skipped"], json::array({"b.service"}));
}

TEST_F(PlanningApi, ARebalanceThatHasNothingToDoAnswersAtOnce) {
  const json body = json::parse(Send("POST", "/fleet/v1/rebalance").body);
  EXPECT_TRUE(body["changes"].empty());
  EXPECT_EQ(Send("POST", "/fleet/v1/rebalance", "[]").code, 400);
  Do([&] { EXPECT_EQ(store_.commits(), 0); });
}

TEST_F(PlanningApi, ARebalanceThatTheRegistryDoesNotTakeSaysSo) {
  moves_ = {{.unit = "a.service", .from = "aa1", .to = "bb1", .reason = "why"}};
  Do([&] { store_.FailNext(absl::UnavailableError("no leader")); });
  Response response = Send("POST", "/fleet/v1/rebalance");
  EXPECT_EQ(response.code, 503);
  EXPECT_THAT(MessageOf(response), HasSubstr("no leader"));
  Do([&] { store_.FailNext(absl::DeadlineExceededError("slow")); });
  response = Send("POST", "/fleet/v1/rebalance");
  EXPECT_EQ(response.code, 504);
  EXPECT_THAT(MessageOf(response), HasSubstr("not known which moves"));
}

}  // namespace
}  // namespace fleet::api
