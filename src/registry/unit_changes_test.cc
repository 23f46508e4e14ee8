#include "registry/unit_changes.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Effect = UnitChangeResult::Effect;

std::shared_ptr<const UnitFile> File(std::string text) {
  auto file = UnitFile::Parse(std::move(text));
  EXPECT_TRUE(file.ok()) << file.status();
  return std::make_shared<const UnitFile>(*std::move(file));
}

std::shared_ptr<const UnitFile> Sleeper() { return File("[Service]\nExecStart=/bin/sleep 1d\n"); }
std::shared_ptr<const UnitFile> Other() { return File("[Service]\nExecStart=/bin/true\n"); }

class UnitChanges : public ::testing::Test {
 protected:
  // Applies the changes, deciding by what the store holds now, and waits for the result.
  std::vector<UnitChangeResult> Apply(std::vector<UnitChange> changes) {
    return ApplyOn(View(), std::move(changes));
  }
  UnitChangeResult Apply(UnitChange change) {
    std::vector<UnitChange> changes;
    changes.push_back(std::move(change));
    return Apply(std::move(changes)).at(0);
  }
  std::vector<UnitChangeResult> ApplyOn(ClusterViewPtr view, std::vector<UnitChange> changes) {
    std::vector<UnitChangeResult> results;
    int answers = 0;
    changer_.Apply(std::move(view), std::move(changes), [&](std::vector<UnitChangeResult> r) {
      results = std::move(r);
      ++answers;
    });
    executor_.RunUntilIdle();
    EXPECT_EQ(answers, 1);
    return results;
  }

  ClusterViewPtr View() {
    ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    return builder.Snapshot(store_.revision());
  }

  UnitRecord Record(const std::string& name) {
    const auto view = View();
    const auto* stored = view->units.Find(name);
    if (stored == nullptr) {
      ADD_FAILURE() << name << " is not stored";
      return {};
    }
    return stored->value;
  }
  bool Exists(const std::string& name) { return View()->units.Find(name) != nullptr; }
  std::string TextOf(const std::string& name) {
    const auto view = View();
    const auto* content = view->contents.Find(Record(name).content_hash);
    return content ? content->value.file->text() : "(no content)";
  }

  // Another client's write.
  void SetRecord(const std::string& name, const UnitRecord& record) {
    store_.Set(keys_.Unit(name), Encode(record));
  }

  Keys keys_{"/fleet/"};
  testing::ManualExecutor executor_;
  testing::FakeStore store_{&executor_};
  UnitChanger changer_{&store_, keys_};
};

TEST_F(UnitChanges, CreatesAUnitWithItsTextAndAUidOfItsOwn) {
  const auto result =
      Apply({.name = "a.service", .desired = DesiredState::kLaunched, .file = Sleeper()});
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.effect, Effect::kCreated);
  EXPECT_EQ(result.revision, store_.revision());
  EXPECT_EQ(Record("a.service").desired, DesiredState::kLaunched);
  EXPECT_EQ(TextOf("a.service"), Sleeper()->text());

  const std::string first_uid = Record("a.service").uid;
  Apply({.name = "a.service", .destroy = true});
  Apply({.name = "a.service", .file = Sleeper()});
  EXPECT_NE(Record("a.service").uid, first_uid);
  EXPECT_EQ(Record("a.service").desired, DesiredState::kInactive);
}

TEST_F(UnitChanges, SaysWhichFeaturesTheTextNeedsAndForgetsWhereAnotherTextFailed) {
  const auto isolated = File("[Service]\nExecStart=/bin/true\n[X-Fleet]\nOnIsolation=stop\n");
  Apply({.name = "a.service", .file = isolated});
  EXPECT_EQ(Record("a.service").features, std::vector<std::string>{"isolation"});
  UnitRecord failed = Record("a.service");
  failed.failed_on = {{"m1", 5, 2}};
  SetRecord("a.service", failed);
  Apply({.name = "a.service", .desired = DesiredState::kLaunched});
  EXPECT_EQ(Record("a.service").failed_on, failed.failed_on);
  Apply({.name = "a.service", .file = Sleeper(), .replace = true});
  EXPECT_TRUE(Record("a.service").features.empty());
  EXPECT_TRUE(Record("a.service").failed_on.empty());
}

TEST_F(UnitChanges, PacksManyIntoFewTransactionsOfAllowedSize) {
  std::vector<UnitChange> changes;
  for (int i = 0; i < 500; ++i) {
    changes.push_back({.name = fmt::format("a{}.service", i),
                       .desired = DesiredState::kLaunched,
                       .file = File(fmt::format("[Service]\nExecStart=/bin/sleep {}\n", i))});
  }
  const auto results = Apply(std::move(changes));
  for (const auto& result : results) EXPECT_EQ(result.effect, Effect::kCreated) << result.status;
  EXPECT_LE(store_.commits(), 8);
  EXPECT_LE(store_.largest_txn(), store::kMaxTxnSize);
}

TEST_F(UnitChanges, UnitsWithOneTextFillSeveralTransactions) {
  std::vector<UnitChange> changes;
  for (int i = 0; i < 500; ++i) {
    changes.push_back({.name = fmt::format("a{}.service", i), .file = Sleeper()});
  }
  const auto results = Apply(std::move(changes));
  for (const auto& result : results) EXPECT_EQ(result.effect, Effect::kCreated) << result.status;
  EXPECT_LE(store_.largest_txn(), store::kMaxTxnSize);
  EXPECT_LE(store_.commits(), 4);
}

TEST_F(UnitChanges, UnitsWithOneTextShareItInATransaction) {
  std::vector<UnitChange> changes;
  for (int i = 0; i < 100; ++i) {
    changes.push_back({.name = fmt::format("a{}.service", i), .file = Sleeper()});
  }
  const auto results = Apply(std::move(changes));
  for (const auto& result : results) EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(store_.commits(), 1);
}

TEST_F(UnitChanges, LargeTextsDoNotShareATransaction) {
  const std::string padding(900'000, 'x');
  std::vector<UnitChange> changes;
  for (int i = 0; i < 3; ++i) {
    changes.push_back(
        {.name = fmt::format("a{}.service", i),
         .file = File(fmt::format("[Service]\n# {}\nExecStart=/bin/sleep {}\n", padding, i))});
  }
  const auto results = Apply(std::move(changes));
  for (const auto& result : results) EXPECT_EQ(result.effect, Effect::kCreated);
  EXPECT_EQ(store_.commits(), 3);
}

TEST_F(UnitChanges, KeepsTheStoredTextUnlessToldToReplaceIt) {
  Apply({.name = "a.service", .file = Sleeper()});
  auto result = Apply({.name = "a.service", .desired = DesiredState::kLaunched, .file = Other()});
  EXPECT_TRUE(result.status.ok());
  EXPECT_TRUE(result.differs);
  EXPECT_EQ(result.effect, Effect::kChanged);
  EXPECT_EQ(TextOf("a.service"), Sleeper()->text());
  EXPECT_EQ(Record("a.service").desired, DesiredState::kLaunched);

  result = Apply({.name = "a.service", .file = Other(), .replace = true});
  EXPECT_TRUE(result.differs);
  EXPECT_EQ(TextOf("a.service"), Other()->text());
  EXPECT_EQ(Record("a.service").desired, DesiredState::kLaunched);

  result = Apply({.name = "a.service", .file = Other(), .replace = true});
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.effect, Effect::kUnchanged);
}

TEST_F(UnitChanges, ATemplateRemembersTheTextsThatAreReplaced) {
  const auto third = std::make_shared<const UnitFile>(*UnitFile::Parse("[Service]\nType=exec\n"));
  for (const auto& file : {Sleeper(), Other(), third, Other()}) {
    Apply({.name = "web@.service", .file = file, .replace = true});
    Apply({.name = "a.service", .file = file, .replace = true});
  }
  EXPECT_THAT(Record("web@.service").former_hashes, ElementsAre(third->hash(), Sleeper()->hash()));
  EXPECT_THAT(Record("a.service").former_hashes, IsEmpty());
}

TEST_F(UnitChanges, RefusesADifferingTextWhenAskedTo) {
  Apply({.name = "a.service", .file = Sleeper()});
  const auto result = Apply({.name = "a.service",
                             .desired = DesiredState::kLaunched,
                             .file = Other(),
                             .refuse_if_differs = true});
  EXPECT_TRUE(absl::IsAlreadyExists(result.status)) << result.status;
  EXPECT_EQ(Record("a.service").desired, DesiredState::kInactive);
}

TEST_F(UnitChanges, OptionsAreTheSameAsATextThatHasThem) {
  Apply({.name = "a.service", .file = File("# mine\n[Service]\n\nExecStart=/bin/true\n")});
  auto options = UnitFile::FromOptions({{"Service", "ExecStart", "/bin/true"}});
  ASSERT_TRUE(options.ok());
  const auto result = Apply({.name = "a.service",
                             .file = std::make_shared<const UnitFile>(*options),
                             .from_options = true,
                             .refuse_if_differs = true});
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.same);
}

TEST_F(UnitChanges, RestartCountsAndStartsButRefusesAnInactiveUnit) {
  Apply({.name = "a.service", .file = Sleeper()});
  auto result = Apply({.name = "a.service", .restart = true});
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status)) << result.status;

  Apply({.name = "a.service", .desired = DesiredState::kLoaded});
  result = Apply({.name = "a.service", .restart = true});
  EXPECT_EQ(result.effect, Effect::kChanged);
  EXPECT_EQ(Record("a.service").restarts, 1);
  EXPECT_EQ(Record("a.service").desired, DesiredState::kLaunched);
}

TEST_F(UnitChanges, AStartCountsUnlessTheUnitIsActive) {
  Apply({.name = "a.service", .desired = DesiredState::kLaunched, .file = Sleeper()});
  const UnitRecord record = Record("a.service");
  store_.Set(keys_.Machine("m1"), Encode(MachineRecord{}));
  store_.Set(keys_.Assignment("m1", "a.service"),
             Encode(Assignment{.uid = record.uid,
                               .generation = 5,
                               .content_hash = record.content_hash,
                               .state = AssignmentState::kLaunched}));
  const auto start_when = [&](const std::string& active, const std::string& result) {
    store_.Set(keys_.State("m1", "a.service"), Encode(StateReport{.uid = record.uid,
                                                                  .generation = 5,
                                                                  .load_state = "loaded",
                                                                  .active_state = active,
                                                                  .settled = true,
                                                                  .result = result}));
    SetRecord("a.service", record);
    Apply({.name = "a.service", .desired = DesiredState::kLaunched, .start = true});
    EXPECT_EQ(Record("a.service").restarts, 0);
    return Record("a.service").starts;
  };
  EXPECT_EQ(start_when("active", ""), 0);
  EXPECT_EQ(start_when("failed", "exit-code"), 1);
  EXPECT_EQ(start_when("inactive", ""), 1);
}

TEST_F(UnitChanges, ANewTextIsNotRefusedForTheOldOnesReason) {
  Apply({.name = "a.service", .desired = DesiredState::kLaunched, .file = Sleeper()});
  UnitRecord record = Record("a.service");
  record.refusal = "no machine is eligible";
  SetRecord("a.service", record);
  Apply({.name = "a.service", .desired = DesiredState::kLaunched});
  EXPECT_EQ(Record("a.service").refusal, "no machine is eligible");
  Apply({.name = "a.service", .file = Other(), .replace = true});
  EXPECT_EQ(Record("a.service").refusal, "");
}

TEST_F(UnitChanges, AStopOfALoadedUnitIsANewOne) {
  Apply({.name = "a.service", .desired = DesiredState::kLoaded, .file = Sleeper()});
  Apply({.name = "a.service", .desired = DesiredState::kLoaded});
  EXPECT_EQ(Record("a.service").restarts, 0);
  Apply({.name = "a.service", .desired = DesiredState::kLoaded, .stop = true});
  EXPECT_EQ(Record("a.service").restarts, 1);
  EXPECT_EQ(Record("a.service").desired, DesiredState::kLoaded);
}

TEST_F(UnitChanges, ReplacingATextIsNoRestart) {
  Apply({.name = "a.service", .desired = DesiredState::kLaunched, .file = Sleeper()});
  Apply({.name = "a.service", .file = Other(), .replace = true});
  EXPECT_EQ(Record("a.service").restarts, 0);
}

TEST_F(UnitChanges, NothingToDoWritesNothing) {
  Apply({.name = "a.service", .desired = DesiredState::kLoaded, .file = Sleeper()});
  const int64_t before = store_.revision();
  const auto result = Apply({.name = "a.service", .desired = DesiredState::kLoaded});
  EXPECT_EQ(result.effect, Effect::kUnchanged);
  EXPECT_EQ(result.revision, before);
  EXPECT_EQ(store_.revision(), before);
}

TEST_F(UnitChanges, DestroysAndSaysWhenThereIsNothingToDestroy) {
  Apply({.name = "a.service", .file = Sleeper()});
  EXPECT_EQ(Apply({.name = "a.service", .destroy = true}).effect, Effect::kDestroyed);
  EXPECT_FALSE(Exists("a.service"));
  EXPECT_TRUE(absl::IsNotFound(Apply({.name = "a.service", .destroy = true}).status));
}

TEST_F(UnitChanges, AnUnknownUnitWithoutATextIsNotFound) {
  EXPECT_TRUE(
      absl::IsNotFound(Apply({.name = "a.service", .desired = DesiredState::kLaunched}).status));
}

TEST_F(UnitChanges, AnInstanceTakesItsTemplatesText) {
  Apply({.name = "web@.service", .file = Sleeper()});
  const auto result = Apply({.name = "web@1.service", .desired = DesiredState::kLaunched});
  EXPECT_EQ(result.effect, Effect::kCreated) << result.status;
  EXPECT_EQ(TextOf("web@1.service"), Sleeper()->text());
  EXPECT_TRUE(absl::IsNotFound(
      Apply({.name = "web@2.service", .desired = DesiredState::kLaunched, .needs_file = true})
          .status));
}

TEST_F(UnitChanges, AnInstanceTakesTheTextOfATemplateInTheSameCall) {
  const auto results = Apply({{.name = "web@.service", .file = Sleeper()},
                              {.name = "web@1.service", .desired = DesiredState::kLaunched}});
  EXPECT_EQ(results[1].effect, Effect::kCreated) << results[1].status;
  EXPECT_EQ(TextOf("web@1.service"), Sleeper()->text());
}

TEST_F(UnitChanges, ATemplateIsNeverActivated) {
  const auto result =
      Apply({.name = "web@.service", .desired = DesiredState::kLaunched, .file = Sleeper()});
  EXPECT_TRUE(absl::IsInvalidArgument(result.status)) << result.status;
  EXPECT_FALSE(Exists("web@.service"));
}

TEST_F(UnitChanges, BadNamesAndFilesAreRefusedAndTheOthersGoThrough) {
  const auto results = Apply(
      {{.name = "no suffix", .file = Sleeper()},
       {.name = "b.service", .file = File("[X-Fleet]\nConflict=a\n[Service]\nExecStart=/b\n")},
       {.name = "c.service", .file = Sleeper()}});
  EXPECT_TRUE(absl::IsInvalidArgument(results[0].status));
  EXPECT_TRUE(absl::IsInvalidArgument(results[1].status));
  EXPECT_EQ(results[2].effect, Effect::kCreated);
  EXPECT_FALSE(Exists("b.service"));
}

TEST_F(UnitChanges, ForceSubmitsUnknownKeys) {
  const auto result = Apply({.name = "b.service",
                             .file = File("[X-Fleet]\nConflict=a\n[Service]\nExecStart=/b\n"),
                             .force = true});
  EXPECT_EQ(result.effect, Effect::kCreated) << result.status;
}

TEST_F(UnitChanges, ReplicasAreOfATemplateAndStoredWithIt) {
  Apply({.name = "web@.service", .file = Sleeper()});
  EXPECT_EQ(Apply({.name = "web@.service", .replicas = 3}).effect, Effect::kChanged);
  EXPECT_EQ(Record("web@.service").replicas, 3);
  EXPECT_EQ(Apply({.name = "web@.service", .replicas = 3}).effect, Effect::kUnchanged);
  EXPECT_TRUE(absl::IsInvalidArgument(Apply({.name = "web@.service", .replicas = -1}).status));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Apply({.name = "a.service", .file = Sleeper(), .replicas = 1}).status));
}

TEST_F(UnitChanges, AnInstanceOfABackupMayCountAsMadeByReplicas) {
  const auto results =
      Apply({{.name = "web@1.service", .file = Sleeper(), .made_by_replicas = true},
             {.name = "web@.service", .file = Sleeper()},
             {.name = "a.service", .file = Sleeper(), .made_by_replicas = true}});
  EXPECT_TRUE(Record("web@1.service").made_by_replicas);
  EXPECT_FALSE(Record("a.service").made_by_replicas);
}

TEST_F(UnitChanges, ACircleOfMachineOfIsRefusedAlsoWithinOneCall) {
  const auto a = File("[X-Fleet]\nMachineOf=b.service\n[Service]\nExecStart=/b\n");
  const auto b = File("[X-Fleet]\nMachineOf=a.service\n[Service]\nExecStart=/b\n");
  const auto results = Apply({{.name = "a.service", .file = a}, {.name = "b.service", .file = b}});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(results[1].status)) << results[1].status;
  EXPECT_THAT(std::string(results[1].status.message()), HasSubstr("a.service"));
  EXPECT_TRUE(absl::IsInvalidArgument(Apply({.name = "b.service", .file = b}).status));
}

TEST_F(UnitChanges, ATemplateWhoseInstancesWouldFollowThemselvesIsRefused) {
  const auto file = File("[Service]\nExecStart=/bin/true\n[X-Fleet]\nMachineOf=web@%i.service\n");
  const auto result = Apply({.name = "web@.service", .file = file});
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status.message()),
              HasSubstr("no instance of web@.service could be placed"));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("MachineOf= leads in a circle"));
  // One that follows another template's instance of its name may be.
  EXPECT_TRUE(Apply({.name = "log@.service", .file = file}).status.ok());
}

TEST_F(UnitChanges, ACircleOverBothKeysThatFollowUnitsIsRefused) {
  const auto a = File("[X-Fleet]\nCollocateWithin=zone=b.service\n[Service]\nExecStart=/b\n");
  const auto b = File("[X-Fleet]\nMachineOf=c.service\n[Service]\nExecStart=/b\n");
  const auto c = File("[X-Fleet]\nCollocateWithin=zone=a.service\n[Service]\nExecStart=/b\n");
  EXPECT_TRUE(Apply({.name = "a.service", .file = a}).status.ok());
  EXPECT_TRUE(Apply({.name = "b.service", .file = b}).status.ok());
  const auto closes = Apply({.name = "c.service", .file = c});
  EXPECT_TRUE(absl::IsInvalidArgument(closes.status)) << closes.status;
  EXPECT_THAT(std::string(closes.status.message()),
              HasSubstr("MachineOf= and CollocateWithin= lead in a circle: c.service -> a.service "
                        "-> b.service -> c.service"));
  EXPECT_FALSE(Exists("c.service"));
}

TEST_F(UnitChanges, AUnitThatCollocatesWithItselfIsRefusedAlsoAsANewText) {
  const auto self = File("[X-Fleet]\nCollocateWithin=zone=%n\n[Service]\nExecStart=/b\n");
  EXPECT_TRUE(absl::IsInvalidArgument(Apply({.name = "a.service", .file = self}).status));
  Apply({.name = "a.service", .file = Sleeper()});
  const auto changed = Apply({.name = "a.service", .file = self, .replace = true});
  EXPECT_THAT(std::string(changed.status.message()),
              HasSubstr("CollocateWithin= leads in a circle: a.service -> a.service"));
  EXPECT_EQ(TextOf("a.service"), Sleeper()->text());
}

TEST_F(UnitChanges, SeveralChangesOfOneUnitFollowEachOther) {
  const auto results = Apply({{.name = "a.service", .file = Sleeper()},
                              {.name = "a.service", .desired = DesiredState::kLaunched},
                              {.name = "a.service", .restart = true},
                              {.name = "a.service", .destroy = true},
                              {.name = "a.service", .file = Other()}});
  EXPECT_EQ(results[0].effect, Effect::kCreated);
  EXPECT_EQ(results[1].effect, Effect::kChanged);
  EXPECT_EQ(results[2].effect, Effect::kChanged);
  EXPECT_EQ(results[3].effect, Effect::kDestroyed);
  EXPECT_EQ(results[4].effect, Effect::kCreated);
  EXPECT_EQ(TextOf("a.service"), Other()->text());
}

TEST_F(UnitChanges, AnotherClientsChangeOfOneUnitIsKeptAndHoldsUpNoOther) {
  std::vector<UnitChange> creates;
  std::vector<UnitChange> starts;
  for (int i = 0; i < 20; ++i) {
    creates.push_back({.name = fmt::format("a{}.service", i), .file = Sleeper()});
    starts.push_back({.name = fmt::format("a{}.service", i), .desired = DesiredState::kLaunched});
  }
  Apply(std::move(creates));
  store_.BeforeCommit([&] {
    UnitRecord record = Record("a7.service");
    record.restarts = 5;
    SetRecord("a7.service", record);
  });
  for (const auto& result : Apply(std::move(starts))) {
    EXPECT_EQ(result.effect, Effect::kChanged) << result.status;
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Record(fmt::format("a{}.service", i)).desired, DesiredState::kLaunched);
  }
  EXPECT_EQ(Record("a7.service").restarts, 5);
}

TEST_F(UnitChanges, DecidesByTheStoreWhereTheViewIsBehind) {
  const ClusterViewPtr empty = View();
  Apply({.name = "a.service", .file = Sleeper()});
  auto results = ApplyOn(empty, {{.name = "a.service", .destroy = true}});
  EXPECT_EQ(results[0].effect, Effect::kDestroyed) << results[0].status;

  Apply({.name = "a.service", .file = Sleeper()});
  const ClusterViewPtr with_unit = View();
  Apply({.name = "a.service", .destroy = true});
  results = ApplyOn(with_unit, {{.name = "a.service", .desired = DesiredState::kInactive}});
  EXPECT_TRUE(absl::IsNotFound(results[0].status)) << results[0].status;
}

TEST_F(UnitChanges, AChangeIsMadeOnlyIfItsConditionHoldsWhenItIsStored) {
  Apply({.name = "a.service", .file = Sleeper()});
  const Precondition seen{.match = {{TagOf(Record("a.service"))}}};
  // In between somebody else writes: what is no setting does not count, what is one does.
  UnitRecord record = Record("a.service");
  record.refusal = "no machine is eligible";
  store_.BeforeCommit([&] { SetRecord("a.service", record); });
  auto result = Apply({.name = "a.service", .desired = DesiredState::kLoaded, .condition = seen});
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.record, Record("a.service"));

  result = Apply({.name = "a.service", .destroy = true, .condition = seen});
  EXPECT_TRUE(result.condition_failed);
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status)) << result.status;
  EXPECT_EQ(result.record, Record("a.service"));

  const Precondition is_new{.none_match = {{Precondition::kAny}}};
  store_.BeforeCommit([&] { SetRecord("b.service", record); });
  result = Apply({.name = "b.service", .file = Other(), .condition = is_new});
  EXPECT_TRUE(result.condition_failed);
  EXPECT_EQ(Record("b.service"), record);
}

TEST_F(UnitChanges, AConditionThatFailsByAViewBehindIsJudgedByTheStore) {
  Apply({.name = "a.service", .file = Sleeper()});
  const ClusterViewPtr behind = View();
  Apply({.name = "a.service", .desired = DesiredState::kLoaded});
  const auto results = ApplyOn(behind, {{.name = "a.service",
                                         .destroy = true,
                                         .condition = {.match = {{TagOf(Record("a.service"))}}}}});
  EXPECT_EQ(results[0].effect, Effect::kDestroyed) << results[0].status;
}

TEST_F(UnitChanges, GivesUpOnAUnitThatOthersKeepChanging) {
  Apply({.name = "a.service", .file = Sleeper()});
  for (int i = 0; i < 50; ++i) {
    store_.BeforeCommit([this, i] {
      UnitRecord record = Record("a.service");
      record.restarts = i + 1;
      SetRecord("a.service", record);
    });
  }
  const auto result = Apply({.name = "a.service", .desired = DesiredState::kLaunched});
  EXPECT_TRUE(absl::IsAborted(result.status)) << result.status;
  EXPECT_EQ(Record("a.service").desired, DesiredState::kInactive);
}

TEST_F(UnitChanges, SaysThatTheOutcomeIsUnknownAfterATimeOut) {
  store_.FailNext(absl::DeadlineExceededError("no answer within 1s"), /*takes_effect=*/true);
  const auto result = Apply({.name = "a.service", .file = Sleeper()});
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("may or may not have been stored"));
  EXPECT_TRUE(Exists("a.service"));
}

TEST_F(UnitChanges, SaysThatNothingWasStoredWhenTheRegistryIsAway) {
  store_.FailNext(absl::UnavailableError("connection refused"));
  const auto result = Apply({.name = "a.service", .file = Sleeper()});
  EXPECT_TRUE(absl::IsUnavailable(result.status));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("not stored: connection refused"));
}

TEST_F(UnitChanges, NoChangesGiveNoResults) {
  EXPECT_TRUE(Apply(std::vector<UnitChange>()).empty());
  EXPECT_EQ(store_.commits(), 0);
}

}  // namespace
}  // namespace fleet::registry
