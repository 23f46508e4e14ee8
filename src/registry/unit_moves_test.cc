#include "registry/unit_moves.h"

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

class UnitMoves : public ::testing::Test {
 protected:
  void Put(const std::string& unit, const UnitRecord& record) {
    store_.Set(keys_.Unit(unit), Encode(record));
  }
  ClusterViewPtr View() {
    ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    return builder.Snapshot(store_.revision());
  }
  UnitMovesResult Write(const ClusterViewPtr& view, const std::vector<UnitMove>& moves) {
    UnitMovesResult result;
    int answers = 0;
    WriteUnitMoves(&store_, keys_, *view, moves, [&](UnitMovesResult r) {
      result = std::move(r);
      ++answers;
    });
    executor_.RunUntilIdle();
    EXPECT_EQ(answers, 1);
    return result;
  }
  std::string MoveOf(const std::string& unit) { return View()->units.Find(unit)->value.move_to; }

  Keys keys_{"/fleet/"};
  testing::ManualExecutor executor_;
  testing::FakeStore store_{&executor_};
};

TEST_F(UnitMoves, AreWrittenInTransactionsOfAtMostTheStoresSize) {
  std::vector<UnitMove> moves;
  for (int i = 0; i < 300; ++i) {
    moves.push_back({.unit = fmt::format("web@{}.service", i), .machine = "m2"});
    Put(moves.back().unit, {.uid = "u", .starts = 3, .unknown = {}});
  }
  const UnitMovesResult result = Write(View(), moves);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(result.skipped, IsEmpty());
  EXPECT_EQ(result.revision, store_.revision());
  EXPECT_EQ(store_.commits(), 3);
  EXPECT_EQ(store_.largest_txn(), store::kMaxTxnSize);
  for (const UnitMove& move : moves) EXPECT_EQ(MoveOf(move.unit), "m2");
  EXPECT_EQ(View()->units.Find("web@0.service")->value.starts, 3);
}

TEST_F(UnitMoves, AUnitThatOthersHaveChangedIsLeftOut) {
  for (const char* unit : {"a.service", "b.service", "c.service", "d.service"}) Put(unit, {});
  const ClusterViewPtr view = View();
  Put("b.service", {.desired = DesiredState::kLoaded});
  store_.Erase(keys_.Unit("d.service"));
  const UnitMovesResult result = Write(view, {{.unit = "a.service", .machine = "m2"},
                                              {.unit = "b.service", .machine = "m2"},
                                              {.unit = "c.service", .machine = "m3"},
                                              {.unit = "d.service", .machine = "m3"},
                                              {.unit = "never.service", .machine = "m3"}});
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(result.skipped, ElementsAre("b.service", "d.service", "never.service"));
  EXPECT_EQ(MoveOf("a.service"), "m2");
  EXPECT_EQ(MoveOf("b.service"), "");
  EXPECT_EQ(MoveOf("c.service"), "m3");
  EXPECT_EQ(View()->units.Find("d.service"), nullptr);
}

TEST_F(UnitMoves, OneThatHasBeenAskedForIsNotWrittenAgain) {
  Put("a.service", {.move_to = "m2"});
  const ClusterViewPtr view = View();
  const int64_t before = view->units.Find("a.service")->mod_revision;
  const UnitMovesResult result = Write(view, {{.unit = "a.service", .machine = "m2"}});
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.revision, before);
  EXPECT_EQ(View()->units.Find("a.service")->mod_revision, before);
}

TEST_F(UnitMoves, AnErrorOfTheStoreSaysHowManyWereStored) {
  Put("a.service", {});
  store_.FailNext(absl::UnavailableError("no leader"));
  const UnitMovesResult result = Write(View(), {{.unit = "a.service", .machine = "m2"}});
  EXPECT_TRUE(absl::IsUnavailable(result.status));
  EXPECT_THAT(std::string(result.status.message()),
              HasSubstr("0 moves were stored, then: no leader"));
}

TEST_F(UnitMoves, OfNothingAreDone) {
  const UnitMovesResult result = Write(View(), {});
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(store_.commits(), 0);
}

}  // namespace
}  // namespace fleet::registry
