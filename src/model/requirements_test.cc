#include "model/requirements.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/machine_of.h"

namespace fleet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

UnitName Name(std::string_view name) {
  auto parsed = UnitName::Parse(name);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

UnitFile File(const std::string& x_fleet) {
  auto file = UnitFile::Parse("[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + x_fleet);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

Requirements Read(const std::string& x_fleet, std::string_view name = "web@1.service") {
  auto requirements = ParseRequirements(File(x_fleet), Name(name));
  EXPECT_TRUE(requirements.ok()) << requirements.status();
  return requirements.ok() ? *std::move(requirements) : Requirements{};
}

std::string WhyInvalid(const std::string& x_fleet, std::string_view name = "web@1.service") {
  auto requirements = ParseRequirements(File(x_fleet), Name(name));
  if (requirements.ok()) return "valid";
  EXPECT_EQ(requirements.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(requirements.status().message());
}

std::string WhyRefused(const std::string& x_fleet, bool force = false,
                       std::string_view name = "web@1.service") {
  absl::Status status = CheckForSubmit(File(x_fleet), Name(name), force);
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Requirements, AreEmptyWithoutTheSection) {
  auto file = UnitFile::Parse("[Service]\nConflicts=x\n");
  ASSERT_TRUE(file.ok());
  auto requirements = ParseRequirements(*file, Name("a.service"));
  ASSERT_TRUE(requirements.ok());
  EXPECT_EQ(*requirements, Requirements{});
}

TEST(Requirements, ReadEachKey) {
  const Requirements read = Read("MachineID=8be9\nMachineOf=db.service\nConflicts=a* b?.service\n");
  EXPECT_EQ(read.machine_id, "8be9");
  EXPECT_THAT(read.machine_of, ElementsAre("db.service"));
  EXPECT_THAT(read.conflicts, ElementsAre("a*", "b?.service"));
  EXPECT_FALSE(read.global);
  EXPECT_THAT(Read("Replaces=old*\nReplaces=older@1.service\n").replaces,
              ElementsAre("old*", "older@1.service"));
}

TEST(Requirements, ReadTheOldSpellings) {
  EXPECT_EQ(Read("X-ConditionMachineID=8be9").machine_id, "8be9");
  EXPECT_EQ(Read("X-ConditionMachineBootID=8be9").machine_id, "8be9");
  EXPECT_THAT(Read("X-ConditionMachineOf=db.service").machine_of, ElementsAre("db.service"));
  EXPECT_THAT(Read("X-Conflicts=a*\nConflicts=b*").conflicts, ElementsAre("a*", "b*"));
  EXPECT_THAT(Read("X-ConditionMachineMetadata=a=b\nMachineMetadata=a=c").metadata,
              ElementsAre(Pair("a", ElementsAre("b", "c"))));
}

TEST(Requirements, JoinRepeatedKeysSortedAndOnce) {
  EXPECT_THAT(Read("Conflicts=b*\nConflicts=a* b*").conflicts, ElementsAre("a*", "b*"));
  EXPECT_THAT(Read("MachineOf=b.service\nMachineOf=a.service b.service").machine_of,
              ElementsAre("a.service", "b.service"));
}

TEST(Requirements, AnEmptyAssignmentResetsWhicheverSpellingCameBefore) {
  EXPECT_THAT(Read("X-Conflicts=a*\nConflicts=\nConflicts=b*").conflicts, ElementsAre("b*"));
  EXPECT_THAT(Read("MachineOf=a.service\nMachineOf=").machine_of, IsEmpty());
  EXPECT_THAT(Read("MachineMetadata=a=b\nMachineMetadata=\nMachineMetadata=c=d").metadata,
              ElementsAre(Pair("c", ElementsAre("d"))));
  EXPECT_EQ(Read("MachineID=a\nMachineID=").machine_id, "");
  EXPECT_FALSE(Read("Global=true\nGlobal=").global);
  EXPECT_THAT(Read("Replaces=a\nReplaces=\nConflicts=b").conflicts, ElementsAre("b"));
}

TEST(Requirements, TheLastMachineIdWins) {
  EXPECT_EQ(Read("MachineID=a\nMachineID=b").machine_id, "b");
}

TEST(Requirements, MetadataOfOneKeyAreAlternatives) {
  EXPECT_THAT(Read("MachineMetadata=\"zone=a\" \"disk=ssd\"\nMachineMetadata=zone=b").metadata,
              ElementsAre(Pair("disk", ElementsAre("ssd")), Pair("zone", ElementsAre("a", "b"))));
}

TEST(Requirements, MetadataValuesMayHaveBlanksAndEqualSigns) {
  EXPECT_THAT(Read("MachineMetadata=room=east wing").metadata,
              ElementsAre(Pair("room", ElementsAre("east wing"))));
  EXPECT_THAT(Read("MachineMetadata=\"room=east wing\"").metadata,
              ElementsAre(Pair("room", ElementsAre("east wing"))));
  EXPECT_THAT(Read("MachineMetadata=label=a=b").metadata,
              ElementsAre(Pair("label", ElementsAre("a=b"))));
  EXPECT_THAT(Read("MachineMetadata= zone = a ").metadata,
              ElementsAre(Pair("zone", ElementsAre("a"))));
}

TEST(Requirements, MetadataThatCannotBeReadIsRefused) {
  EXPECT_THAT(WhyInvalid("MachineMetadata=zone"), HasSubstr("\"zone\" is not of the form"));
  EXPECT_THAT(WhyInvalid("MachineMetadata==a"), HasSubstr("has no key"));
  EXPECT_THAT(WhyInvalid("MachineMetadata=zone="), HasSubstr("has no value"));
  EXPECT_THAT(WhyInvalid("MachineMetadata=\"zone=a"), HasSubstr("not closed"));
  EXPECT_THAT(WhyInvalid("MachineMetadata=zone=a disk=ssd"), HasSubstr("have to be quoted"));
  EXPECT_THAT(WhyInvalid("MachineMetadata=\"zone=a\" disk"), HasSubstr("\"disk\" is not"));
}

TEST(Requirements, ReadBooleansInAnyCase) {
  for (const char* yes : {"true", "Yes", "1", "ON", "t", "T", "TRUE"}) {
    EXPECT_TRUE(Read(std::string("Global=") + yes).global) << yes;
  }
  for (const char* no : {"false", "No", "0", "off", "f"}) {
    EXPECT_FALSE(Read(std::string("Global=") + no).global) << no;
  }
  EXPECT_THAT(WhyInvalid("Global=maybe"), HasSubstr("Global=maybe: not a boolean"));
}

TEST(Requirements, RefuseABrokenGlob) {
  EXPECT_THAT(WhyInvalid("Conflicts=a[b"), HasSubstr("[X-Fleet] Conflicts=a[b: "));
  EXPECT_THAT(WhyInvalid("Replaces=b[z-a]"), HasSubstr("[X-Fleet] Replaces=b[z-a]: "));
}

TEST(Requirements, KeepTheEscapesOfGlobs) {
  EXPECT_THAT(Read("Conflicts=a\\*b").conflicts, ElementsAre("a\\*b"));
}

TEST(Requirements, RefuseMachineOfThatNamesNoUnit) {
  EXPECT_THAT(WhyInvalid("MachineOf=db"), HasSubstr("did you mean db.service?"));
  EXPECT_THAT(WhyInvalid("MachineOf=d/b.service"), HasSubstr("'/' at position 2"));
  EXPECT_THAT(WhyInvalid("MachineOf=db@.service"), HasSubstr("is a template"));
}

TEST(Requirements, RefuseKeysThatExcludeEachOther) {
  EXPECT_THAT(WhyInvalid("Global=true\nMachineID=a"), HasSubstr("Global= and MachineID="));
  EXPECT_THAT(WhyInvalid("Global=true\nMachineOf=a.service"), HasSubstr("Global= and MachineOf="));
  EXPECT_THAT(WhyInvalid("Global=true\nReplaces=a"), HasSubstr("Global= and Replaces="));
  EXPECT_THAT(WhyInvalid("Replaces=a\nConflicts=b"), HasSubstr("Replaces= and Conflicts="));
  EXPECT_EQ(WhyInvalid("Global=true\nMachineMetadata=a=b\nConflicts=b"), "valid");
  EXPECT_EQ(WhyInvalid("Global=false\nMachineID=a"), "valid");
}

TEST(Requirements, IgnoreUnknownKeysOfAStoredUnit) {
  EXPECT_EQ(WhyInvalid("OfANewerVersion=%H"), "valid");
}

TEST(Requirements, ExpandSpecifiers) {
  EXPECT_THAT(Read("MachineOf=%p-data@%i.service").machine_of, ElementsAre("web-data@1.service"));
  EXPECT_THAT(Read("MachineMetadata=shard=%i").metadata,
              ElementsAre(Pair("shard", ElementsAre("1"))));
  EXPECT_THAT(Read("Conflicts=%p@*.service %n").conflicts,
              ElementsAre("web@*.service", "web@1.service"));
  EXPECT_EQ(Read("MachineID=%i").machine_id, "1");
}

TEST(Requirements, SpecifiersWithinGlobsMatchThemselves) {
  EXPECT_THAT(Read("Conflicts=%p*", "a\\x2db.service").conflicts, ElementsAre("a\\\\x2db*"));
}

TEST(Requirements, SpecifiersWithinUnitNamesKeepTheirBackslashes) {
  EXPECT_THAT(Read("MachineOf=%p.timer d\\x2d.timer", "a\\x2db.service").machine_of,
              ElementsAre("a\\x2db.timer", "d\\x2d.timer"));
}

TEST(Requirements, OfATemplateAreThoseOfSomeInstance) {
  EXPECT_EQ(WhyInvalid("MachineOf=db@%i.service\nMachineMetadata=shard=%i\n", "web@.service"),
            "valid");
  EXPECT_THAT(WhyInvalid("MachineOf=db@%H.service", "web@.service"), HasSubstr("%H"));
}

TEST(ExpandSpecifiers, KnowsThoseOfTheName) {
  const UnitName name = Name("my-web\\x2dapp@var-log\\x2d1.service");
  const std::map<std::string, std::string> expected = {
      {"%n", "my-web\\x2dapp@var-log\\x2d1.service"},
      {"%N", "my-web\\x2dapp@var-log\\x2d1"},
      {"%p", "my-web\\x2dapp"},
      {"%i", "var-log\\x2d1"},
      {"%P", "my/web-app"},
      {"%I", "var/log-1"},
      {"%j", "web\\x2dapp"},
      {"%J", "web-app"},
      {"100%%", "100%"},
      {"%%n", "%n"},
      {"a%pb", "amy-web\\x2dappb"},
  };
  for (const auto& [text, value] : expected) {
    auto expanded = ExpandSpecifiers(text, name);
    ASSERT_TRUE(expanded.ok()) << expanded.status();
    EXPECT_EQ(*expanded, value) << text;
  }
  EXPECT_EQ(*ExpandSpecifiers("%j %i.", Name("plain.service")), "plain .");
}

TEST(ExpandSpecifiers, RefusesThoseOfTheHostAndUnknownOnes) {
  const UnitName name = Name("a.service");
  for (const char* text : {"%H", "%m", "%b", "x%h"}) {
    EXPECT_THAT(std::string(ExpandSpecifiers(text, name).status().message()),
                HasSubstr("depends on the machine"))
        << text;
  }
  EXPECT_THAT(std::string(ExpandSpecifiers("%z", name).status().message()),
              HasSubstr("unknown specifier %z"));
  EXPECT_THAT(std::string(ExpandSpecifiers("50%", name).status().message()),
              HasSubstr("single % at the end"));
}

TEST(CheckForSubmit, AcceptsKnownKeysAndTemplates) {
  EXPECT_EQ(WhyRefused("Conflicts=%p@*.service\n", false, "web@.service"), "accepted");
  EXPECT_EQ(WhyRefused("X-Conflicts=a\nX-ConditionMachineBootID=b\n"), "accepted");
}

TEST(CheckForSubmit, NamesTheNearestKey) {
  EXPECT_THAT(WhyRefused("Conflict=a"), AllOf(HasSubstr("web@1.service: unknown key \"Conflict\""),
                                              HasSubstr("did you mean \"Conflicts\"?")));
  EXPECT_THAT(WhyRefused("machineid=a"), HasSubstr("did you mean \"MachineID\"?"));
  EXPECT_THAT(WhyRefused("X-ConditionMachineMetdata=a=b"),
              HasSubstr("did you mean \"MachineMetadata\"?"));
  EXPECT_THAT(WhyRefused("MachineMetaData=a=b"), HasSubstr("did you mean \"MachineMetadata\"?"));
  EXPECT_THAT(WhyRefused("X-ConditionMachineMeta=a=b"), HasSubstr("MachineMetadata"));
}

TEST(CheckForSubmit, ListsTheKnownKeysWhenNoneIsNear) {
  EXPECT_THAT(WhyRefused("Foo=a"), HasSubstr("known keys are Conflicts, Global, MachineID, "
                                             "MachineMetadata, MachineOf, Replaces."));
}

TEST(CheckForSubmit, LetsUnknownKeysPassWhenForcedButNothingElse) {
  EXPECT_EQ(WhyRefused("Conflict=a", true), "accepted");
  EXPECT_THAT(WhyRefused("Conflict=a\nMachineOf=db", true), HasSubstr("did you mean db.service"));
}

TEST(CheckForSubmit, RefusesHostSpecifiers) {
  EXPECT_THAT(WhyRefused("MachineMetadata=host=%H"), HasSubstr("specifier %H"));
}

TEST(CheckForSubmit, NoticesASectionInTheWrongCase) {
  auto file = UnitFile::Parse("[x-fleet]\nConflicts=a\n");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(std::string(CheckForSubmit(*file, Name("a.service"), false).message()),
              HasSubstr("did you mean [X-Fleet]?"));
  EXPECT_TRUE(CheckForSubmit(*file, Name("a.service"), true).ok());
}

absl::Status CheckCycle(const std::map<std::string, std::vector<std::string>>& follows,
                        const std::string& unit) {
  return CheckMachineOfCycle(unit, follows.at(unit), [&](const std::string& other) {
    auto found = follows.find(other);
    return found == follows.end() ? std::vector<std::string>{} : found->second;
  });
}

TEST(CheckMachineOfCycle, AllowsChainsDiamondsAndUnknownUnits) {
  EXPECT_TRUE(CheckCycle({{"a", {"b", "c"}}, {"b", {"d"}}, {"c", {"d"}}, {"d", {"e"}}}, "a").ok());
}

TEST(CheckMachineOfCycle, PrintsTheCircle) {
  const absl::Status status = CheckCycle({{"a", {"x", "b"}}, {"b", {"c"}}, {"c", {"a"}}}, "a");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in a circle: a -> b -> c -> a"));
  EXPECT_THAT(std::string(CheckCycle({{"a", {"a"}}}, "a").message()), HasSubstr("a -> a"));
}

TEST(CheckMachineOfCycle, PrintsOnlyTheCircleWhenTheUnitIsNotPartOfIt) {
  EXPECT_THAT(std::string(CheckCycle({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}, "a").message()),
              HasSubstr("circle: b -> c -> b"));
}

TEST(CheckMachineOfCycle, FollowsALongChain) {
  std::map<std::string, std::vector<std::string>> follows;
  for (int i = 0; i < 20000; ++i) follows[std::to_string(i)] = {std::to_string(i + 1)};
  EXPECT_TRUE(CheckCycle(follows, "0").ok());
  follows["20000"] = {"0"};
  EXPECT_FALSE(CheckCycle(follows, "0").ok());
}

}  // namespace
}  // namespace fleet
