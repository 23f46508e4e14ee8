#include "base/loop.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace fleet {
namespace {

TEST(Loop, RunsTasksInTheOrderTheyWerePosted) {
  Loop loop("test");
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Stop();
  loop.Run();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Loop, TakesTasksFromOtherThreads) {
  Loop loop("test");
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        loop.Post([&] {
          if (++count == 4000) loop.Stop();
        });
      }
    });
  }
  loop.Run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 4000);
}

TEST(Loop, TimersRunInTheOrderOfTheirTimesAndNotBefore) {
  Loop loop("test");
  std::vector<int> order;
  const absl::Time begin = loop.Now();
  loop.PostAfter(absl::Milliseconds(20), [&] {
    EXPECT_GE(loop.Now() - begin, absl::Milliseconds(20));
    order.push_back(2);
    loop.Stop();
  });
  loop.PostAfter(absl::ZeroDuration(), [&] { order.push_back(1); });
  loop.Run();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Loop, ACancelledTimerDoesNotRun) {
  Loop loop("test");
  bool ran = false;
  const auto timer = loop.PostAfter(absl::Milliseconds(1), [&] { ran = true; });
  loop.Cancel(timer);
  loop.PostAfter(absl::Milliseconds(20), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_FALSE(ran);
}

TEST(Loop, ATimerMayCancelAnotherAndStartNewOnes) {
  Loop loop("test");
  bool other_ran = false;
  const auto other = loop.PostAfter(absl::Milliseconds(10), [&] { other_ran = true; });
  loop.PostAfter(absl::Milliseconds(1), [&] {
    loop.Cancel(other);
    loop.PostAfter(absl::Milliseconds(20), [&] { loop.Stop(); });
  });
  loop.Run();
  EXPECT_FALSE(other_ran);
}

TEST(Loop, ATaskMayOwnWhatIsFreedWithIt) {
  auto token = std::make_shared<int>(1);
  {
    Loop loop("test");
    loop.PostAfter(absl::Hours(1), [token] {});
    loop.Post([token] {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace fleet
