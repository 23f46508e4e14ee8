// Against a real systemd as PID 1; run inside a machine of the lab by
// tests/functional/test_host.py.

#include "host/systemd/systemd_bus.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "host/systemd/lab_fixture.h"

namespace fleet::host {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kSleeps[] = "[Service]\nExecStart=/bin/sleep infinity\n";

class OverPrivateSocket : public SystemdTest {};
class OverMessageBus : public SystemdTest {
 protected:
  OverMessageBus() : SystemdTest({.message_bus = true}) {}
};

MATCHER_P(JobEnds, result, "") { return arg.ok() && *arg == result; }

TEST_F(OverPrivateSocket, StartsAndStopsAUnitThatWasJustInstalled) {
  Install("t-simple.service", kSleeps);
  EXPECT_THAT(Start("t-simple.service"), JobEnds("done"));
  EXPECT_EQ(Shell("systemctl is-active t-simple.service"), "active");
  EXPECT_THAT(Stop("t-simple.service"), JobEnds("done"));
  EXPECT_EQ(Shell("systemctl is-active t-simple.service"), "inactive");
}

}  // namespace
}  // namespace fleet::host
