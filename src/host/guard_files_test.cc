#include "host/guard_files.h"

#include <gtest/gtest.h>

namespace fleet::host {
namespace {

TEST(GuardFiles, AnOrderReadsBackAsItWasWritten) {
  const WrittenOrder order{"id",
                           {.units = {"a.service", "b@1.service"},
                            .deadline = absl::UnixEpoch() + absl::Nanoseconds(12345678901),
                            .stop_timeout = absl::Milliseconds(2500),
                            .noted = {"c.service"}}};
  const auto read = ReadOrder(*WriteOrder(order));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, order.id);
  EXPECT_EQ(read->order.units, order.order.units);
  EXPECT_EQ(read->order.deadline, order.order.deadline);
  EXPECT_EQ(read->order.stop_timeout, order.order.stop_timeout);
  EXPECT_EQ(read->order.noted, order.order.noted);
}

TEST(GuardFiles, AnAnswerReadsBackAsItWasWritten) {
  const GuardAnswer answer{"id", {"a.service"}};
  EXPECT_EQ(*ReadAnswer(WriteAnswer(answer)), answer);
}

TEST(GuardFiles, WhatIsDamagedIsAnError) {
  for (const char* text : {"", "unit=a.service\n", "version=2\nid=x\n", "version=1\n",
                           "version=1\nid=x\ndeadline=soon\n", "version=1\nid=x\nnonsense\n"}) {
    EXPECT_FALSE(ReadOrder(text).ok()) << text;
  }
}

TEST(GuardFiles, AKeyOfALaterVersionIsSkipped) {
  EXPECT_TRUE(ReadOrder("version=1\nid=x\nnew=thing\n").ok());
}

}  // namespace
}  // namespace fleet::host
