#include "host/systemd/object_path.h"

#include <string>

#include "gtest/gtest.h"
#include "rapidcheck.h"
#include "rapidcheck/gtest.h"

namespace fleet::host {
namespace {

TEST(ObjectPath, EscapesWhatIsNoLetterOrDigit) {
  EXPECT_EQ(UnitPath("web@1.service"), "/org/freedesktop/systemd1/unit/web_401_2eservice");
  EXPECT_EQ(UnitPath("a\\x2db_c.mount"), "/org/freedesktop/systemd1/unit/a_5cx2db_5fc_2emount");
}

TEST(ObjectPath, EscapesALeadingDigitOnlyInFront) {
  EXPECT_EQ(UnitPath("1a1.service"), "/org/freedesktop/systemd1/unit/_31a1_2eservice");
}

RC_GTEST_PROP(ObjectPath, ReadsBackEveryName, (const std::string& name)) {
  RC_ASSERT(UnitOfPath(UnitPath(name)) == name);
}

TEST(ObjectPath, KnowsPathsThatAreNoUnits) {
  EXPECT_EQ(UnitOfPath("/org/freedesktop/systemd1/job/17"), std::nullopt);
  EXPECT_EQ(UnitOfPath("/org/freedesktop/systemd1"), std::nullopt);
  EXPECT_EQ(UnitOfPath(""), std::nullopt);
}

TEST(ObjectPath, RefusesABrokenEscape) {
  EXPECT_EQ(UnitOfPath("/org/freedesktop/systemd1/unit/a_2"), std::nullopt);
  EXPECT_EQ(UnitOfPath("/org/freedesktop/systemd1/unit/a_2xb"), std::nullopt);
}

}  // namespace
}  // namespace fleet::host
