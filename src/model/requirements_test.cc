#include "model/requirements.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

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
  EXPECT_THAT(WhyInvalid("Global=true\nConflictsWithin=zone=a"),
              HasSubstr("Global= and ConflictsWithin="));
  EXPECT_THAT(WhyInvalid("Global=true\nCollocateWithin=zone=a.service"),
              HasSubstr("Global= and CollocateWithin="));
  EXPECT_THAT(WhyInvalid("Global=true\nSpreadOver=zone"), HasSubstr("Global= and SpreadOver="));
  EXPECT_THAT(WhyInvalid("Global=true\nReschedule=on-failure"),
              HasSubstr("Global= and Reschedule="));
  EXPECT_THAT(WhyInvalid("Replaces=a\nConflicts=b"), HasSubstr("Replaces= and Conflicts="));
  EXPECT_EQ(WhyInvalid("Global=true\nMachineMetadata=a=b\nConflicts=b\nReserveCPU=1\n"
                       "ReserveMemory=1G\nWeight=2\nPriority=3"),
            "valid");
  EXPECT_EQ(WhyInvalid("Global=true\nSpreadOver=zone\nSpreadOver="), "valid");
  EXPECT_EQ(WhyInvalid("Global=false\nMachineID=a"), "valid");
}

TEST(Requirements, ReadConflictsWithinAKey) {
  EXPECT_THAT(Read("ConflictsWithin=zone=db*.service region=b?.service").conflicts_within,
              ElementsAre(Within{"region", "b?.service"}, Within{"zone", "db*.service"}));
  EXPECT_THAT(Read("ConflictsWithin=zone=b\nConflictsWithin=zone=a zone=b").conflicts_within,
              ElementsAre(Within{"zone", "a"}, Within{"zone", "b"}));
  EXPECT_THAT(Read("ConflictsWithin=\"server room=db*\" 'zone =a=b'").conflicts_within,
              ElementsAre(Within{"server room", "db*"}, Within{"zone", "a=b"}));
  EXPECT_THAT(
      Read("ConflictsWithin=zone=a\nConflictsWithin=\nConflictsWithin=rack=b").conflicts_within,
      ElementsAre(Within{"rack", "b"}));
  EXPECT_THAT(Read("ConflictsWithin=zone=a\nConflictsWithin=").conflicts_within, IsEmpty());
}

TEST(Requirements, ExpandSpecifiersInKeysAndGlobsOfConflictsWithin) {
  EXPECT_THAT(Read("ConflictsWithin=%p-zone=%p@*.service").conflicts_within,
              ElementsAre(Within{"web-zone", "web@*.service"}));
  EXPECT_THAT(Read("ConflictsWithin=%p=%p*", "a\\x2db.service").conflicts_within,
              ElementsAre(Within{"a\\x2db", "a\\\\x2db*"}));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=%H=a"), HasSubstr("ConflictsWithin=%H=a: "));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=zone=%H"), HasSubstr("%H depends on the machine"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=%I=a", "web@a\\x3db.service"),
              HasSubstr("the key \"a=b\" has a = in it"));
}

TEST(Requirements, RefuseConflictsWithinWithoutKeyOrGlob) {
  EXPECT_THAT(WhyInvalid("ConflictsWithin=db*.service"),
              AllOf(HasSubstr("[X-Fleet] ConflictsWithin=db*.service: \"db*.service\" is not of "
                              "the form KEY=GLOB"),
                    HasSubstr("metadata key")));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=zone = db*"), HasSubstr("\"zone\" is not of the form"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=zone=a b"), HasSubstr("\"b\" is not of the form"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin==db*"), HasSubstr("\"=db*\" has no key"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=' =db*'"), HasSubstr("has no key"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=zone="), HasSubstr("\"zone=\" has no GLOB"));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=zone=a[b"),
              HasSubstr("[X-Fleet] ConflictsWithin=zone=a[b: "));
  EXPECT_THAT(WhyInvalid("ConflictsWithin=\"zone=a"), HasSubstr("not closed"));
}

TEST(Requirements, ReadCollocateWithinAKey) {
  EXPECT_THAT(
      Read("CollocateWithin=zone=%p-db@%i.service\nCollocateWithin=region=c.socket zone=a.service")
          .collocate_within,
      ElementsAre(Within{"region", "c.socket"}, Within{"zone", "a.service"},
                  Within{"zone", "web-db@1.service"}));
  EXPECT_THAT(Read("CollocateWithin=zone=d\\x2db.service").collocate_within,
              ElementsAre(Within{"zone", "d\\x2db.service"}));
  EXPECT_THAT(Read("CollocateWithin=zone=a.service\nCollocateWithin=").collocate_within, IsEmpty());
}

TEST(Requirements, RefuseCollocateWithinThatNamesNoUnit) {
  EXPECT_THAT(WhyInvalid("CollocateWithin=zone=db"), HasSubstr("did you mean db.service?"));
  EXPECT_THAT(WhyInvalid("CollocateWithin=zone=db@.service"), HasSubstr("is a template"));
  EXPECT_THAT(WhyInvalid("CollocateWithin=zone=db*.service"), HasSubstr("'*' at position 3"));
  EXPECT_THAT(WhyInvalid("CollocateWithin=db.service"), HasSubstr("is not of the form KEY=UNIT"));
  EXPECT_THAT(WhyInvalid("CollocateWithin=zone="), HasSubstr("has no UNIT; write KEY=UNIT"));
  EXPECT_THAT(WhyInvalid("CollocateWithin==db.service"), HasSubstr("has no key"));
}

TEST(Requirements, SpreadOverIsTheLastKeyThatWasNamed) {
  EXPECT_EQ(Read("SpreadOver=zone").spread_over, "zone");
  EXPECT_EQ(Read("SpreadOver=zone\nSpreadOver=region").spread_over, "region");
  EXPECT_EQ(Read("SpreadOver=zone\nSpreadOver=").spread_over, "");
  EXPECT_EQ(Read("SpreadOver=\"zone\"").spread_over, "zone");
  EXPECT_EQ(Read("SpreadOver=%p-zone").spread_over, "web-zone");
  for (const char* bad : {"zone region", "\"a zone\"", "zone=a", "\"\"", "="}) {
    EXPECT_THAT(WhyInvalid(std::string("SpreadOver=") + bad), HasSubstr("name one metadata key"))
        << bad;
  }
}

TEST(Requirements, OnIsolationAndRescheduleAreOneOfTwoWords) {
  EXPECT_FALSE(Read("").stops_on_isolation);
  EXPECT_TRUE(Read("OnIsolation=stop").stops_on_isolation);
  EXPECT_FALSE(Read("OnIsolation=stop\nOnIsolation=keep").stops_on_isolation);
  EXPECT_FALSE(Read("OnIsolation=stop\nOnIsolation=").stops_on_isolation);
  EXPECT_THAT(WhyInvalid("OnIsolation=kill"), HasSubstr("write keep or stop"));
  EXPECT_FALSE(Read("").reschedules_on_failure);
  EXPECT_TRUE(Read("Reschedule=on-failure").reschedules_on_failure);
  EXPECT_FALSE(Read("Reschedule=on-failure\nReschedule=never").reschedules_on_failure);
  EXPECT_THAT(WhyInvalid("Reschedule=always"), HasSubstr("write never or on-failure"));
}

TEST(Requirements, ReserveCpuInThousandthsOfACoreRoundedUp) {
  const auto reserved = [](const std::string& amount) {
    return Read("ReserveCPU=" + amount).reserve_milli_cores;
  };
  EXPECT_EQ(reserved("50%"), 500);
  EXPECT_EQ(reserved("250%"), 2500);
  EXPECT_EQ(reserved("2"), 2000);
  EXPECT_EQ(reserved("0.5"), 500);
  EXPECT_EQ(reserved("1.25"), 1250);
  EXPECT_EQ(reserved("0.3331"), 334);
  EXPECT_EQ(reserved("0.01%"), 1);
  EXPECT_EQ(reserved("0"), 0);
  EXPECT_EQ(reserved("1000000"), 1'000'000'000);
  EXPECT_EQ(reserved("1\nReserveCPU=2"), 2000);
  EXPECT_EQ(reserved("1\nReserveCPU="), 0);
}

TEST(Requirements, RefuseAnAmountOfCpuThatIsNone) {
  EXPECT_EQ(WhyInvalid("ReserveCPU=abc"),
            "[X-Fleet] ReserveCPU=abc: not an amount of CPU; write cores like 2 or 0.5, or percent "
            "of one like 50%");
  for (const char* bad : {"-1", "nan", "inf", "500m", "1 2", "%", "1e3", "%i"}) {
    EXPECT_THAT(WhyInvalid(std::string("ReserveCPU=") + bad), HasSubstr("not an amount of CPU"))
        << bad;
  }
  for (const char* bad : {"1000001", "1000000.0001", "100000001%", "99999999999999999999"}) {
    EXPECT_THAT(WhyInvalid(std::string("ReserveCPU=") + bad), HasSubstr("more than 1000000 cores"))
        << bad;
  }
}

TEST(Requirements, ReserveMemoryInBytesRoundedUp) {
  const auto reserved = [](const std::string& amount) {
    return Read("ReserveMemory=" + amount).reserve_memory;
  };
  EXPECT_EQ(reserved("4096"), 4096);
  EXPECT_EQ(reserved("64K"), 65536);
  EXPECT_EQ(reserved("512M"), 512 << 20);
  EXPECT_EQ(reserved("1.5G"), int64_t{3} << 29);
  EXPECT_EQ(reserved("1024T"), int64_t{1} << 50);
  EXPECT_EQ(reserved("0.1K"), 103);
  EXPECT_EQ(reserved("0"), 0);
  EXPECT_EQ(reserved("1G\nReserveMemory=1M"), 1 << 20);
  EXPECT_EQ(reserved("1G\nReserveMemory="), 0);
}

TEST(Requirements, RefuseAnAmountOfMemoryThatIsNone) {
  EXPECT_EQ(WhyInvalid("ReserveMemory=abc"),
            "[X-Fleet] ReserveMemory=abc: not an amount of memory; write bytes, or a number with "
            "K, M, G or T (base 1024) like 512M or 1.5G");
  for (const char* bad : {"-1", "nan", "1KiB", "1k", "1 G", "50%", "G"}) {
    EXPECT_THAT(WhyInvalid(std::string("ReserveMemory=") + bad), HasSubstr("not an amount of"))
        << bad;
  }
  for (const char* bad : {"1024.0000000000001T", "1025T", "8388608T", "9223372036854775808"}) {
    EXPECT_THAT(WhyInvalid(std::string("ReserveMemory=") + bad), HasSubstr("more than 1024T"))
        << bad;
  }
}

TEST(Requirements, OnlyThoseWithAnAmountReserve) {
  EXPECT_FALSE(Read("Weight=5\nPriority=5\nReserveCPU=0\nReserveMemory=0").Reserves());
  EXPECT_TRUE(Read("ReserveCPU=1%").Reserves());
  EXPECT_TRUE(Read("ReserveMemory=1").Reserves());
}

TEST(Requirements, ReadWeightAndPriority) {
  EXPECT_EQ(Read("").weight, 1);
  EXPECT_EQ(Read("Weight=7").weight, 7);
  EXPECT_EQ(Read("Weight=1000000").weight, 1000000);
  EXPECT_EQ(Read("Weight=7\nWeight=").weight, 1);
  EXPECT_EQ(Read("").priority, 0);
  EXPECT_EQ(Read("Priority=-5").priority, -5);
  EXPECT_EQ(Read("Priority=2147483647").priority, 2147483647);
  EXPECT_EQ(Read("Priority=-2147483648").priority, -2147483648);
  EXPECT_EQ(Read("Priority=9\nPriority=").priority, 0);
  for (const char* bad : {"0", "-1", "1.5", "heavy", "1000001", "99999999999999999999", "1 2"}) {
    EXPECT_THAT(
        WhyInvalid(std::string("Weight=") + bad),
        HasSubstr(std::string("Weight=") + bad + ": write a whole number from 1 to 1000000"))
        << bad;
  }
  for (const char* bad : {"2147483648", "-2147483649", "high", "1.0"}) {
    EXPECT_THAT(WhyInvalid(std::string("Priority=") + bad),
                HasSubstr("a whole number from -2147483648 to 2147483647"))
        << bad;
  }
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
  EXPECT_THAT(WhyRefused("ConflictWithin=a=b"), HasSubstr("did you mean \"ConflictsWithin\"?"));
  EXPECT_THAT(WhyRefused("ColocateWithin=a=b"), HasSubstr("did you mean \"CollocateWithin\"?"));
  EXPECT_THAT(WhyRefused("SpreadOut=a"), HasSubstr("did you mean \"SpreadOver\"?"));
  EXPECT_THAT(WhyRefused("ReservedCPU=1"), HasSubstr("did you mean \"ReserveCPU\"?"));
  EXPECT_THAT(WhyRefused("ReserveMem=1"), HasSubstr("did you mean \"ReserveMemory\"?"));
  EXPECT_THAT(WhyRefused("weight=1"), HasSubstr("did you mean \"Weight\"?"));
  EXPECT_THAT(WhyRefused("Prio=1"), HasSubstr("did you mean \"Priority\"?"));
}

TEST(Requirements, ReadWhatAnOperatorAsksOfATemplate) {
  EXPECT_EQ(Read("").replicas, std::nullopt);
  EXPECT_EQ(Read("Replicas=0").replicas, 0);
  EXPECT_EQ(Read("Replicas=5").replicas, 5);
  EXPECT_EQ(Read("Replicas=5\nReplicas=").replicas, std::nullopt);
  EXPECT_EQ(Read("").max_unavailable, (Budget{1, false}));
  EXPECT_EQ(Read("MaxUnavailable=20%").max_unavailable, (Budget{20, true}));
  EXPECT_EQ(Read("").healthy_after, absl::Seconds(2));
  EXPECT_EQ(Read("HealthyAfter=1m").healthy_after, absl::Minutes(1));
  EXPECT_THAT(WhyInvalid("Replicas=-1"), HasSubstr("Replicas=-1"));
  EXPECT_THAT(WhyInvalid("MaxUnavailable=0"), HasSubstr("a share such as 25%"));
  EXPECT_THAT(WhyInvalid("HealthyAfter=soon"), HasSubstr("a duration such as 10s"));
  EXPECT_THAT(WhyInvalid("Global=true\nReplicas=2"), HasSubstr("cannot be combined"));
}

TEST(CheckForSubmit, ListsTheKnownKeysWhenNoneIsNear) {
  EXPECT_THAT(WhyRefused("Foo=a"),
              HasSubstr("known keys are CollocateWithin, Conflicts, ConflictsWithin, Global, "
                        "HealthyAfter, MachineID, MachineMetadata, MachineOf, MaxUnavailable, "
                        "OnIsolation, Priority, Replaces, Replicas, Reschedule, ReserveCPU, "
                        "ReserveMemory, SpreadOver, Weight."));
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

}  // namespace
}  // namespace fleet
