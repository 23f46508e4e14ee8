#include "api/watch_hub.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/fake_sink.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/testing/manual_executor.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Message {
  int64_t id = -1;
  std::string event;
  json data;
  // "unit a.service", "sync 7", "machine-removed m1"
  std::string Text() const {
    std::string what;
    if (data.contains("revision")) what = std::to_string(data["revision"].get<int64_t>());
    if (data.contains("id")) what = data["id"];
    if (data.contains("machineID") && event.starts_with("machine")) what = data["machineID"];
    if (data.contains("name")) what = data["name"];
    return event + " " + what;
  }
};

class Sink : public FakeSink {
 public:
  using FakeSink::FakeSink;

  // The messages since the last call; comments left out.
  std::vector<Message> Take() {
    std::vector<Message> messages;
    size_t end = 0;
    while ((end = text_.find("\n\n")) != std::string::npos) {
      const std::string block = text_.substr(0, end);
      text_.erase(0, end + 2);
      Message message;
      for (size_t at = 0; at < block.size();) {
        const size_t line_end = std::min(block.find('\n', at), block.size());
        const std::string line = block.substr(at, line_end - at);
        if (line.starts_with("id: ")) message.id = std::stoll(line.substr(4));
        if (line.starts_with("event: ")) message.event = line.substr(7);
        if (line.starts_with("data: ")) message.data = json::parse(line.substr(6));
        if (line.starts_with(":")) ++comments;
        at = line_end + 1;
      }
      if (!message.event.empty()) messages.push_back(std::move(message));
    }
    return messages;
  }
  std::vector<std::string> TakeTexts() {
    std::vector<std::string> texts;
    for (const Message& message : Take()) texts.push_back(message.Text());
    return texts;
  }

  int comments = 0;
};

class WatchHubTest : public ::testing::Test {
 protected:
  using Record = Change::Record;

  void Step(std::vector<Change> changes, bool reset = false) {
    ++view_.revision;
    view_.Freeze();
    const ViewChange change{std::make_shared<const ClusterView>(view_), std::move(changes), reset};
    counts_.Update(before_.get(), change);
    before_ = change.view;
    hub_.OnViewChange(change);
    executor_.RunUntilIdle();
  }
  void PutUnit(const std::string& name) {
    SetUnit(name);
    Step({{Record::kUnit, name, ""}});
  }
  void SetUnit(const std::string& name) {
    view_.units.Set(name, {{.uid = "u"}, 1, view_.revision + 1});
  }
  void EraseUnit(const std::string& name) {
    view_.units.Erase(name);
    Step({{Record::kUnit, name, ""}});
  }
  void Assign(const std::string& name, const std::string& machine) {
    view_.assignments.Set({name, machine}, {{.uid = "u"}, 1, view_.revision + 1});
    Step({{Record::kAssignment, name, machine}});
  }
  void Report(const std::string& name, const std::string& machine, bool gone = false) {
    view_.states.Set({name, machine}, {{.uid = "u", .gone = gone}, 1, view_.revision + 1});
    Step({{Record::kState, name, machine}});
  }
  void AddMachine(const std::string& id) {
    view_.machines.Set(id, {MachineRecord{}, 1, view_.revision + 1});
    Step({{Record::kMachine, id, ""}});
  }

  std::shared_ptr<Sink> Watch(WatchFilter filter = {}, std::optional<int64_t> since = {}) {
    auto sink = std::make_shared<Sink>(&executor_);
    hub_.AddClient(sink, std::move(filter), since);
    executor_.RunUntilIdle();
    return sink;
  }
  void Gather() { executor_.Advance(absl::Milliseconds(20)); }

  registry::testing::ManualExecutor executor_;
  AssignmentCounts counts_;
  WatchHub hub_{
      &executor_, &counts_,
      WatchLimits{
          .remembered = 20, .snapshot_chunk_bytes = 400, .streams = {.slow_client_bytes = 1000}}};
  ClusterView view_;
  ClusterViewPtr before_;
};

TEST_F(WatchHubTest, BeginsWithWhatIsThereThenSyncs) {
  PutUnit("a.service");
  AddMachine("m1");
  Report("a.service", "m1");
  const auto sink = Watch();
  const auto messages = sink->Take();
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].Text(), "unit a.service");
  EXPECT_EQ(messages[1].Text(), "state a.service");
  EXPECT_EQ(messages[2].Text(), "machine m1");
  EXPECT_EQ(messages[3].Text(), "sync 3");
  EXPECT_EQ(messages[3].id, 3);
  EXPECT_EQ(messages[0].id, 0) << "half a snapshot is no place to resume from";
}

TEST_F(WatchHubTest, TellsOfChangesAndRemovals) {
  PutUnit("a.service");
  AddMachine("m1");
  const auto sink = Watch();
  sink->Take();
  Gather();
  Assign("a.service", "m1");
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit a.service", "machine m1"));
  Report("a.service", "m1");
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit a.service", "state a.service"));
  Report("a.service", "m1", /*gone=*/true);
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit a.service", "state-removed a.service"));
  EraseUnit("a.service");
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit-removed a.service"));
}

TEST_F(WatchHubTest, AMachineThatComesOrGoesTouchesItsUnits) {
  PutUnit("a.service");
  PutUnit("b.service");
  AddMachine("m1");
  Assign("a.service", "m1");
  const auto sink = Watch();
  Gather();
  sink->Take();
  view_.machines.Erase("m1");
  Step({{Record::kMachine, "m1", ""}});
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit a.service", "machine-removed m1"));
}

TEST_F(WatchHubTest, GathersChangesOfOneEntity) {
  PutUnit("a.service");
  const auto sink = Watch();
  Gather();
  sink->Take();
  for (int i = 0; i < 50; ++i) PutUnit("a.service");
  Gather();
  EXPECT_LE(sink->Take().size(), 2U);
}

TEST_F(WatchHubTest, FiltersByResourceAndUnit) {
  AddMachine("m1");
  const auto units = Watch({.states = false, .machines = false});
  const auto named = Watch({.machines = false, .unit_globs = {"a.service", "web@*"}});
  const auto machines = Watch({.units = false, .states = false});
  Gather();
  for (const auto& sink : {units, named, machines}) sink->Take();
  for (const char* name : {"a.service", "b.service", "web@1.service"}) SetUnit(name);
  Step({{Record::kUnit, "a.service", ""},
        {Record::kUnit, "b.service", ""},
        {Record::kUnit, "web@1.service", ""}});
  AddMachine("m2");
  Gather();
  EXPECT_THAT(units->TakeTexts(),
              ElementsAre("unit a.service", "unit b.service", "unit web@1.service"));
  EXPECT_THAT(named->TakeTexts(), ElementsAre("unit a.service", "unit web@1.service"));
  EXPECT_THAT(machines->TakeTexts(), ElementsAre("machine m2"));
}

TEST_F(WatchHubTest, OnlyTheLastMessageOfAStepMayBeResumedFrom) {
  PutUnit("z.service");
  const auto sink = Watch();
  Gather();
  sink->Take();
  SetUnit("a.service");
  SetUnit("b.service");
  Step({{Record::kUnit, "a.service", ""}, {Record::kUnit, "b.service", ""}});
  Gather();
  const auto messages = sink->Take();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].id, 1);
  EXPECT_EQ(messages[1].id, 2);
}

TEST_F(WatchHubTest, ResumesWithWhatWasMissed) {
  PutUnit("a.service");
  PutUnit("b.service");
  Gather();
  const int64_t since = view_.revision;
  PutUnit("c.service");
  EraseUnit("a.service");
  Gather();
  const auto sink = Watch({}, since);
  const auto messages = sink->Take();
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].Text(), fmt::format("sync {}", since));
  EXPECT_EQ(messages[0].data["resumed"], true);
  EXPECT_EQ(messages[1].Text(), "unit-removed a.service");
  EXPECT_EQ(messages[2].Text(), "unit c.service");
  EXPECT_EQ(messages[2].id, view_.revision);
}

TEST_F(WatchHubTest, BeginsAnewWhenTheRevisionIsForgottenOrNotYetThere) {
  PutUnit("a.service");
  Gather();
  const int64_t since = view_.revision;
  for (int i = 0; i < 30; ++i) {
    PutUnit(fmt::format("b{}.service", i));
    Gather();
  }
  EXPECT_THAT(Watch({}, since)->TakeTexts(), SizeIs(32));
  EXPECT_THAT(Watch({}, view_.revision + 100)->TakeTexts(), SizeIs(32));
}

TEST_F(WatchHubTest, SendsALargeSnapshotInPiecesAndThenWhatChangedMeanwhile) {
  for (int i = 0; i < 40; ++i) SetUnit(fmt::format("a{:02}.service", i));
  Step({}, /*reset=*/true);
  auto sink = std::make_shared<Sink>(&executor_);
  hub_.AddClient(sink, {}, std::nullopt);  // its first piece is out
  EXPECT_LT(sink->TakeTexts().size(), 40U);
  view_.units.Erase("a00.service");
  Step({{Record::kUnit, "a00.service", ""}});
  Gather();
  const auto texts = sink->TakeTexts();
  ASSERT_GE(texts.size(), 2U);
  EXPECT_EQ(texts[texts.size() - 2], "sync 1");
  EXPECT_EQ(texts.back(), "unit-removed a00.service");
  EXPECT_LT(sink->largest, 1000U);
}

TEST_F(WatchHubTest, AResetTellsTheDifference) {
  PutUnit("a.service");
  PutUnit("b.service");
  const auto sink = Watch();
  Gather();
  sink->Take();
  view_.units.Erase("a.service");
  SetUnit("c.service");
  Step({}, /*reset=*/true);
  Gather();
  EXPECT_THAT(sink->TakeTexts(), ElementsAre("unit-removed a.service", "unit c.service"));
}

TEST_F(WatchHubTest, AnotherRegistryEndsTheStreams) {
  PutUnit("a.service");
  PutUnit("a.service");
  const auto sink = Watch();
  view_.revision = -1;
  Step({}, /*reset=*/true);
  EXPECT_TRUE(sink->closed());
  EXPECT_EQ(hub_.clients(), 0U);
}

TEST_F(WatchHubTest, DropsAClientThatDoesNotReadAndNoOther) {
  PutUnit("a.service");
  const auto slow = Watch();
  const auto fast = Watch();
  Gather();
  slow->stalled = true;
  for (int i = 0; i < 40; ++i) {
    PutUnit("a.service");
    Gather();
  }
  EXPECT_TRUE(slow->finished);
  const auto told = slow->Take();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().event, "dropped");
  EXPECT_EQ(told.back().id, -1) << "it goes on from the last message that it has got";
  EXPECT_FALSE(fast->closed());
  EXPECT_EQ(hub_.clients(), 1U);
}

TEST_F(WatchHubTest, AClientThatComesWhileChangesAreGatheredIsToldOfThemOnce) {
  PutUnit("a.service");
  const auto first = Watch();
  PutUnit("a.service");  // at once
  first->Take();
  PutUnit("b.service");  // gathered
  const auto second = Watch();
  Gather();
  EXPECT_THAT(second->TakeTexts(), ElementsAre("unit a.service", "unit b.service", "sync 3"));
  EXPECT_THAT(first->TakeTexts(), ElementsAre("unit b.service"));
}

TEST_F(WatchHubTest, GathersForLongerTheMoreClientsThereAre) {
  PutUnit("a.service");
  const auto flushes_in = [&](const std::shared_ptr<Sink>& sink) {
    int flushes = 0;
    for (int i = 0; i < 50; ++i) {
      executor_.Advance(absl::Milliseconds(2));
      PutUnit("a.service");
      if (!sink->Take().empty()) ++flushes;
    }
    return flushes;
  };
  const auto sink = Watch();
  sink->Take();
  EXPECT_NEAR(flushes_in(sink), 10, 1);
  std::vector<std::shared_ptr<Sink>> many;
  for (int i = 0; i < 600; ++i) many.push_back(Watch());
  EXPECT_NEAR(flushes_in(sink), 3, 1);  // 30 ms
  for (int i = 0; i < 2000; ++i) many.push_back(Watch());
  EXPECT_NEAR(flushes_in(sink), 2, 1);  // 50 ms
}

TEST_F(WatchHubTest, KeepsQuietConnectionsAlive) {
  PutUnit("a.service");
  const auto sink = Watch();
  sink->Take();
  executor_.Advance(absl::Seconds(31));
  EXPECT_THAT(sink->Take(), IsEmpty());
  EXPECT_EQ(sink->comments, 2);
}

TEST_F(WatchHubTest, CountsOfMachinesFollowTheAssignments) {
  PutUnit("a.service");
  AddMachine("m1");
  const auto sink = Watch({.units = false, .states = false});
  Gather();
  sink->Take();
  Assign("a.service", "m1");
  Gather();
  const auto messages = sink->Take();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].data["units"], 1);
}

}  // namespace
}  // namespace fleet::api
