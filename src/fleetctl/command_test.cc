#include "fleetctl/command.h"

#include <filesystem>

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kText[] = "[Service]\nExecStart=/bin/sleep 1d\n";

TEST(Fleetctl, PrintsTheHelpWithTheVersionWhenAskedNothing) {
  FakeFleet fleet;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{}, {"help"}, {"-h"}, {"--help"}, {"--h"}}) {
    const Result result = fleet.Run(words);
    EXPECT_EQ(result.code, kDone);
    EXPECT_THAT(result.out, HasSubstr("Version: " FLEET_VERSION));
    EXPECT_THAT(result.out, HasSubstr("list-machines"));
  }
}

TEST(Fleetctl, PrintsItsVersion) {
  FakeFleet fleet;
  EXPECT_EQ(fleet.Run({"version"}).out, "fleetctl version " FLEET_VERSION "\n");
  EXPECT_EQ(fleet.Run({"--version"}).out, "fleetctl version " FLEET_VERSION "\n");
  EXPECT_EQ(fleet.Run({"-v"}).out, "fleetctl version " FLEET_VERSION "\n");
}

TEST(Fleetctl, EachCommandHasHelpWithAnExample) {
  FakeFleet fleet;
  for (const Command& command : Commands()) {
    const Result result = fleet.Run({std::string(command.name), "--help"});
    EXPECT_EQ(result.code, kDone) << command.name;
    EXPECT_THAT(result.out, HasSubstr(Cat("fleetctl ", command.name)));
    EXPECT_THAT(result.out, HasSubstr("Example:\n  fleetctl"));
    EXPECT_EQ(fleet.Run({"help", std::string(command.name)}).out, result.out);
  }
}

TEST(Fleetctl, TakesAnUnambiguousPrefixOfACommand) {
  FakeFleet fleet;
  EXPECT_EQ(fleet.Run({"vers"}).out, "fleetctl version " FLEET_VERSION "\n");
  const Result ambiguous = fleet.Run({"list"});
  EXPECT_EQ(ambiguous.code, kUsage);
  EXPECT_THAT(ambiguous.err, HasSubstr("list-machines, list-unit-files, list-units"));
}

TEST(Fleetctl, UsageErrorsEndWithTwo) {
  FakeFleet fleet;
  const Result unknown = fleet.Run({"strat", "a"});
  EXPECT_EQ(unknown.code, kUsage);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean \"start\"?"));
  for (const std::string verb : {"start", "stop", "submit", "destroy", "cat", "status", "ssh"})
    EXPECT_EQ(fleet.Run({verb}).code, kUsage) << verb;
  EXPECT_EQ(fleet.Run({"version", "x"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"list-units", "--endpoint=ftp://x"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"list-units", "-o", "xml"}).code, kUsage);
}

TEST(Fleetctl, SaysWhenNoEndpointCanBeConnectedTo) {
  FakeFleet fleet;
  const Result result = fleet.Run({"--endpoint", "unix:///nonexistent/sock", "list-machines"});
  EXPECT_EQ(result.code, kNotConnected);
  EXPECT_THAT(result.err, HasSubstr("unix:///nonexistent/sock: No such file or directory"));
  EXPECT_THAT(result.out, IsEmpty());
}

TEST(Fleetctl, ListsMachines) {
  FakeFleet fleet;
  EXPECT_EQ(fleet.Run({"list-machines"}).out,
            "MACHINE    \tIP      \tMETADATA\n"
            "8be9f57e...\t10.0.0.1\tdisk=ssd,zone=a\n");
  EXPECT_EQ(fleet.Run({"list-machines", "--no-legend", "--l", "--fields=machine,state,units"}).out,
            "8be9f57e6f3f4a07a4a4a5c2a4b6a7f1\tready\t2\n");
  EXPECT_EQ(fleet.Run({"list-machines", "-o", "name"}).out, "8be9f57e6f3f4a07a4a4a5c2a4b6a7f1\n");
}

TEST(Fleetctl, ListsMachinesThatAreAwayWhereThatIsAskedFor) {
  FakeFleet fleet;
  fleet.machines.push_back({{"id", "m2"}, {"state", "absent"}});
  EXPECT_THAT(fleet.Run({"list-machines"}).out, Not(HasSubstr("m2")));
  EXPECT_EQ(fleet.Run({"list-machines", "--absent", "--state=absent", "-o", "name"}).out, "m2\n");
  const Result refused = fleet.Run({"list-machines", "--absent", "--watch"});
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(refused.err, HasSubstr("without --watch"));
}

TEST(Fleetctl, ListsWhichMachinesHaveASlotToReboot) {
  FakeFleet fleet;
  for (const char* const id : {"m2", "m3"}) {
    nlohmann::json machine = {{"id", id}, {"state", "ready"}, {"lockGroup", "web"}};
    machine["lockGranted"] = id == std::string("m2");
    fleet.machines.push_back(std::move(machine));
  }
  EXPECT_EQ(fleet.Run({"list-machines", "--no-legend", "--fields=machine,lock"}).out,
            "8be9f57e...\t-\nm2         \tweb\nm3         \tweb (waits)\n");
  EXPECT_EQ(fleet.Run({"list-machines", "-o", "name", "--state=locked"}).out, "m2\n");
  EXPECT_EQ(fleet.Run({"list-machines", "-o", "name", "--state=lock-waits"}).out, "m3\n");
  EXPECT_EQ(fleet.Run({"list-machines", "-o", "name", "--state=ready"}).out,
            std::string(FakeFleet::kMachine) + "\nm2\nm3\n");
}

TEST(Fleetctl, ListsUnits) {
  FakeFleet fleet;
  fleet.states = json::array({{{"name", "b.service"},
                               {"machineID", FakeFleet::kMachine},
                               {"hash", "0123456789"},
                               {"systemdLoadState", "loaded"},
                               {"systemdActiveState", "failed"},
                               {"systemdSubState", "failed"}},
                              {{"name", "a.service"},
                               {"machineID", FakeFleet::kMachine},
                               {"systemdActiveState", "active"},
                               {"systemdSubState", "running"}}});
  EXPECT_EQ(fleet.Run({"list-units"}).out,
            "UNIT     \tMACHINE             \tACTIVE\tSUB\n"
            "a.service\t8be9f57e.../10.0.0.1\tactive\trunning\n"
            "b.service\t8be9f57e.../10.0.0.1\tfailed\tfailed\n");
  EXPECT_EQ(fleet.Run({"list-units", "--no-legend", "--fields", "unit,load,hash"}).out,
            "a.service\t-     \t-\n"
            "b.service\tloaded\t0123456\n");
  EXPECT_EQ(fleet.Run({"list-units", "-o", "name", "--state=failed"}).out, "b.service\n");
  EXPECT_EQ(fleet.Run({"list-units", "-o", "name", "a*"}).out, "a.service\n");
  EXPECT_EQ(fleet.Run({"list-units", "-o", "name", "b", "--machine=8be9"}).out, "b.service\n");
  EXPECT_THAT(fleet.Run({"list-units", "-o", "name", "--machine=ffff"}).out, IsEmpty());
}

TEST(Fleetctl, ListsUnitFiles) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  fleet.Add("g.service", "launched", kText);
  fleet.units["g.service"]["global"] = true;
  fleet.Add("web@.service", "inactive", kText);
  EXPECT_EQ(fleet.Run({"list-unit-files"}).out,
            "UNIT        \tHASH   \tDSTATE  \tSTATE   \tTARGET\n"
            "a.service   \t0123456\tlaunched\tlaunched\t8be9f57e.../10.0.0.1\n"
            "g.service   \t0123456\tlaunched\t-       \tglobal\n"
            "web@.service\t0123456\tinactive\tinactive\t-\n");
  const Result old = fleet.Run({"list-unit-files", "--fields=tmachine", "--no-legend"});
  EXPECT_EQ(old.out, "8be9f57e.../10.0.0.1\nglobal\n-\n");
  EXPECT_THAT(old.err, HasSubstr("deprecated"));
}

TEST(Fleetctl, RefusesAnUnknownField) {
  FakeFleet fleet;
  for (const std::string fields : {"", "unit,", "Unit", " "})
    EXPECT_EQ(fleet.Run({"list-units", Cat("--fields=", fields)}).code, kFailed) << fields;
  EXPECT_EQ(fleet.Run({"list-units", "--fields="}).err, "Invalid key in output format: \"\"\n");
  const Result result = fleet.Run({"list-units", "--fields=unit,x"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.err, "Invalid key in output format: \"x\"\n");
}

TEST(Fleetctl, ListsAsJsonAndYaml) {
  FakeFleet fleet;
  const Result result = fleet.Run({"list-machines", "-o", "json"});
  EXPECT_EQ(json::parse(result.out), fleet.machines);
  EXPECT_THAT(fleet.Run({"list-machines", "-o", "yaml"}).out, HasSubstr("hostname: node1\n"));
}

TEST(Fleetctl, CatGivesTheTextByteForByte) {
  FakeFleet fleet;
  fleet.Add("a.service", "inactive", "# c\r\n[Service]\nExecStart=/x \\\n  y");
  EXPECT_EQ(fleet.Run({"cat", "a"}).out, "# c\r\n[Service]\nExecStart=/x \\\n  y");
  const Result missing = fleet.Run({"cat", "b"});
  EXPECT_EQ(missing.code, kNotFound);
  EXPECT_THAT(missing.err, HasSubstr("b.service"));
}

TEST(Fleetctl, StoresNothingIfFilesFollowEachOtherInACircle) {
  FakeFleet fleet;
  const auto following = [&](const std::string& name, const std::string& other) {
    return fleet.Write(name, Cat(kText, "[X-Fleet]\nMachineOf=", other, "\n"));
  };
  const std::string a = following("a.service", "b.service");
  const std::string b = following("b.service", "c.service");
  const std::string c = following("c.service", "a.service");
  const std::string d = following("d.service", "e.service");
  const Result result = fleet.Run({"submit", d, a, b, c});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr(Cat(c,
                                        ": c.service: [X-Fleet] MachineOf= leads in a circle: "
                                        "c.service -> a.service -> b.service -> c.service")));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
  const Result verified = fleet.Run({"verify", a, d, b, c});
  EXPECT_EQ(verified.code, kFailed);
  EXPECT_EQ(verified.out, d + ": ok\n");
  EXPECT_EQ(fleet.Run({"verify", a, b}).out, Cat(a, ": ok\n", b, ": ok\n"));
}

TEST(Fleetctl, TakesCollocateWithinForFollowingToo) {
  FakeFleet fleet;
  const std::string a =
      fleet.Write("a.service", Cat(kText, "[X-Fleet]\nCollocateWithin=zone=b.service\n"));
  const std::string b = fleet.Write("b.service", Cat(kText, "[X-Fleet]\nMachineOf=a.service\n"));
  for (const char* verb : {"submit", "verify"}) {
    const Result result = fleet.Run({verb, a, b});
    EXPECT_EQ(result.code, kFailed);
    EXPECT_THAT(result.err, HasSubstr("MachineOf= and CollocateWithin= lead in a circle"));
  }
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Fleetctl, RefusesTwoFilesOfOneUnit) {
  FakeFleet fleet;
  const std::string first = fleet.Write("a.service", kText);
  std::filesystem::create_directory(fleet.directory() + "other");
  const std::string second = fleet.Write("other/a.service", "[Service]\nExecStart=/other\n");
  const Result result = fleet.Run({"submit", first, second});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr(Cat(second, ": it is another a.service than ", first)));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
  fleet.Write("other/a.service", kText);
  EXPECT_EQ(fleet.Run({"submit", first, second}).code, kDone);
  EXPECT_THAT(fleet.Changes(), SizeIs(1));
}

TEST(Fleetctl, AGlobOverWhatRunsDoesNotMeanTemplates) {
  FakeFleet fleet;
  for (const std::string verb : {"start", "load", "stop", "restart", "unload"}) {
    fleet.Add("web@.service", "inactive", kText);
    fleet.Add("web@1.service", "launched", kText);
    const Result result = fleet.Run({verb, "web@*"});
    EXPECT_EQ(result.code, kDone) << verb << result.err;
    EXPECT_EQ(fleet.Changes().back()["name"], "web@1.service");
    EXPECT_EQ(fleet.Run({verb, "web@.*"}).code, kNotFound) << verb;
  }
  EXPECT_EQ(fleet.Run({"cat", "web@*"}).out, Cat(kText, kText));
  EXPECT_EQ(fleet.Run({"destroy", "web@*"}).out,
            "Destroyed web@.service\nDestroyed web@1.service\n");
}

TEST(Fleetctl, CatTakesGlobs) {
  FakeFleet fleet;
  for (const std::string name : {"b@1.service", "b@2.service", "c.service"})
    fleet.Add(name, "inactive", Cat(name, "\n"));
  EXPECT_EQ(fleet.Run({"cat", "c", "b@*"}).out, "c.service\nb@1.service\nb@2.service\n");
  const Result some = fleet.Run({"cat", "none*", "b@?.service", "b@1"});
  EXPECT_EQ(some.code, kNotFound);
  EXPECT_EQ(some.out, "b@1.service\nb@2.service\n");
  EXPECT_THAT(some.err, HasSubstr("no registered unit matches it"));
}

TEST(Fleetctl, JournalAndSshTakeAGlobThatOneUnitMatches) {
  FakeFleet fleet;
  fleet.local_machine_id = FakeFleet::kMachine;
  fleet.Add("b@1.service", "launched");
  fleet.Add("b@2.service", "launched");
  fleet.Add("c.service", "launched");
  EXPECT_EQ(fleet.Run({"ssh", "c*", "exit", "7"}).code, 7);
  EXPECT_EQ(fleet.Run({"ssh", "--unit=c*", "exit", "7"}).code, 7);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"ssh", "b@*", "true"}, {"journal", "b@*"}}) {
    const Result result = fleet.Run(words);
    EXPECT_EQ(result.code, kFailed);
    EXPECT_THAT(result.err, HasSubstr("several units match b@*: b@1.service, b@2.service"));
  }
  EXPECT_EQ(fleet.Run({"journal", "d*"}).code, kNotFound);
}

TEST(Fleetctl, AVersionInTheEnvironmentIsNoFlag) {
  FakeFleet fleet;
  fleet.variables["FLEETCTL_VERSION"] = "1.0";
  fleet.variables["FLEETCTL_HELP"] = "yes";
  EXPECT_THAT(fleet.Run({"list-machines"}).out, HasSubstr("8be9f57e"));
}

TEST(Fleetctl, SubmitsFilesInOneBatch) {
  FakeFleet fleet;
  const Result result =
      fleet.Run({"submit", fleet.Write("a.service", kText), fleet.Write("web@.service", kText)});
  EXPECT_EQ(result.out, "Unit a.service inactive\nUnit web@.service inactive\n") << result.err;
  EXPECT_EQ(result.code, kDone);
  ASSERT_THAT(fleet.Changes(), SizeIs(2));
  EXPECT_EQ(fleet.Changes()[0]["content"], kText);
  EXPECT_FALSE(fleet.Changes()[0].contains("desiredState"));
}

TEST(Fleetctl, StoresNothingIfOneFileIsBroken) {
  FakeFleet fleet;
  const std::string good = fleet.Write("a.service", kText);
  struct Case {
    std::string path;
    int code;
  };
  for (const Case& c : {Case{fleet.Write("broken.service", "[Service\nx\n"), kFailed},
                        Case{fleet.Write("binary.service", std::string("[A]\n\0\n", 6)), kFailed},
                        Case{fleet.Write("huge.service", std::string(10 << 20, '#')), kFailed},
                        Case{fleet.Write("key.service", "[X-Fleet]\nMachineOff=a\n"), kFailed},
                        Case{fleet.directory() + "absent.service", kNotFound}}) {
    const Result result = fleet.Run({"start", good, c.path});
    EXPECT_EQ(result.code, c.code) << c.path << result.err;
    EXPECT_THAT(result.err, HasSubstr(c.path)) << result.err;
    EXPECT_THAT(fleet.Changes(), IsEmpty()) << c.path;
  }
}

TEST(Fleetctl, StartWaitsAndSaysWhere) {
  FakeFleet fleet;
  const Result result = fleet.Run({"start", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.out, "Unit a.service launched on 8be9f57e.../10.0.0.1\n") << result.err;
  EXPECT_EQ(result.code, kDone);
}

TEST(Fleetctl, WithoutBlockingTheStartIsOnlyTriggered) {
  FakeFleet fleet;
  const Result result =
      fleet.Run({"start", "--no-block", fleet.Write("a.service", kText),
                 fleet.Write("g.service", Cat(kText, "[X-Fleet]\nGlobal=true\n"))});
  EXPECT_EQ(result.out, "Triggered unit a.service start\nTriggered global unit g.service start\n");
}

TEST(Fleetctl, AGlobalUnitIsTriggeredAndNotWaitedFor) {
  FakeFleet fleet;
  fleet.Add("g.service", "loaded", kText);
  fleet.units["g.service"]["global"] = true;
  fleet.after_change = [](json& unit) { unit["progress"] = "pending"; };
  EXPECT_EQ(fleet.Run({"start", "g"}).out, "Triggered global unit g.service start\n");
  EXPECT_EQ(fleet.Run({"stop", "g"}).out, "Triggered global unit g.service stop\n");
}

TEST(Fleetctl, AnInstanceTakesItsTemplatesText) {
  FakeFleet fleet;
  fleet.Write("web@.service", kText);
  EXPECT_EQ(fleet.Run({"start", fleet.directory() + "web@1.service"}).code, kDone);
  EXPECT_EQ(fleet.Changes().back()["content"], kText);
  // The registry's template comes first.
  fleet.Add("web@.service", "inactive", "[Service]\nExecStart=/other\n");
  EXPECT_EQ(fleet.Run({"start", fleet.directory() + "web@2.service"}).code, kDone);
  EXPECT_FALSE(fleet.Changes().back().contains("content"));
}

TEST(Fleetctl, ATemplateItselfCannotBeStarted) {
  FakeFleet fleet;
  const Result result = fleet.Run({"start", fleet.Write("web@.service", kText)});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("web@1.service"));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Fleetctl, WarnsWhenTheRegistryHasAnotherText) {
  FakeFleet fleet;
  fleet.Add("a.service", "inactive", "[Service]\nExecStart=/other\n");
  const std::string path = fleet.Write("a.service", kText);
  EXPECT_EQ(fleet.Run({"start", path}).err,
            Cat("WARNING: Unit a.service in registry differs from local unit file ", path,
                ". Add --replace to override.\n"));
  EXPECT_THAT(fleet.Run({"start", "--replace", path}).err, IsEmpty());
  EXPECT_EQ(fleet.units["a.service"]["content"], kText);
  EXPECT_THAT(fleet.Run({"start", "--replace", path}).out,
              HasSubstr("Found same Unit(a.service) in Registry, nothing to do\n"));
}

TEST(Fleetctl, ReplaceDoesNotTakeAUnitDown) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", "[Service]\nExecStart=/other\n");
  const Result result = fleet.Run({"submit", "--replace", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("start --replace"));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Fleetctl, AFailedStartShowsResultAndLog) {
  FakeFleet fleet;
  fleet.after_change = [](json& unit) {
    unit["progress"] = "failed";
    unit["reason"] = "exit-code";
    unit["logTail"] = "one\ntwo\n";
  };
  const Result result = fleet.Run({"start", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.err,
            "Error: unit a.service failed on 8be9f57e.../10.0.0.1: exit-code\n  one\n  two\n");
  EXPECT_THAT(result.out, IsEmpty());
}

TEST(Fleetctl, AStartWithoutAnEligibleMachineSaysWhy) {
  FakeFleet fleet;
  fleet.after_change = [](json& unit) {
    unit["progress"] = "waiting";
    unit["reason"] = "1 machine lacks zone=b";
  };
  const Result result = fleet.Run({"start", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.code, kNotEligible);
  EXPECT_THAT(result.err, HasSubstr("1 machine lacks zone=b"));
}

TEST(Fleetctl, NegativeBlockAttemptsDoNotWait) {
  FakeFleet fleet;
  EXPECT_EQ(fleet.Run({"start", "--block-attempts=-1", fleet.Write("a.service", kText)}).out,
            "Triggered unit a.service start\n");
}

TEST(Fleetctl, StrictHostKeyCheckingMayStandAlone) {
  FakeFleet fleet;
  fleet.local_machine_id = FakeFleet::kMachine;
  const std::string flag = "--strict-host-key-checking";
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{flag, "ssh", "8be9", "exit", "7"},
                                             {flag, "false", "ssh", "8be9", "exit", "7"},
                                             {"ssh", flag, "8be9", "exit", "7"},
                                             {"ssh", flag, "no", "8be9", "exit", "7"}})
    EXPECT_EQ(fleet.Run(words).code, 7) << Join(words, " ");
}

TEST(Fleetctl, AWaitIsBoundedByItsTimeout) {
  FakeFleet fleet;
  fleet.after_change = [](json& unit) { unit["progress"] = "pending"; };
  const Result result = fleet.Run({"start", "--timeout=20ms", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("timed out waiting for unit a.service"));
}

TEST(Fleetctl, AWaitOutlivesABrokenStream) {
  FakeFleet fleet;
  fleet.broken_watches = 2;
  const Result result = fleet.Run({"start", fleet.Write("a.service", kText)});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Unit a.service launched on 8be9f57e.../10.0.0.1\n");
  EXPECT_THAT(result.err, HasSubstr("trying again"));
}

TEST(Fleetctl, StopTakesGlobsAndSkipsWhatIsInactive) {
  FakeFleet fleet;
  fleet.Add("web@1.service", "launched");
  fleet.Add("web@2.service", "launched");
  fleet.Add("db.service", "inactive");
  const Result result = fleet.Run({"stop", "web@*", "db"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.out,
            "Unit web@1.service loaded on 8be9f57e.../10.0.0.1\n"
            "Unit web@2.service loaded on 8be9f57e.../10.0.0.1\n");
  EXPECT_THAT(result.err, HasSubstr("db.service"));
  EXPECT_THAT(fleet.Changes(), SizeIs(2));
}

TEST(Fleetctl, UnknownNamesFailAndTheOthersAreActedOn) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  for (const std::string verb : {"stop", "unload", "destroy"}) {
    const Result result = fleet.Run({verb, "absent", "a"});
    EXPECT_EQ(result.code, kNotFound) << verb;
    EXPECT_THAT(result.err, HasSubstr("absent.service not found"));
    EXPECT_THAT(result.out, HasSubstr("a.service"));
  }
  EXPECT_THAT(fleet.units, IsEmpty());
  EXPECT_EQ(fleet.Run({"stop", "no*"}).code, kNotFound);
}

TEST(Fleetctl, UnloadAndDestroySayWhatTheyDid) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  EXPECT_EQ(fleet.Run({"unload", "a"}).out, "Unit a.service inactive\n");
  EXPECT_EQ(fleet.Run({"destroy", "a"}).out, "Destroyed a.service\n");
}

TEST(Fleetctl, DestroyWaitsForTheStateToGo) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  fleet.states = json::array({{{"name", "a.service"}, {"machineID", FakeFleet::kMachine}}});
  EXPECT_EQ(fleet.Run({"destroy", "--timeout=20ms", "a"}).code, kTimedOut);
  fleet.Add("a.service", "launched");
  fleet.later_events = {Cat("event: state-removed\ndata: {\"name\":\"a.service\",\"machineID\":\"",
                            FakeFleet::kMachine, "\"}\n\n")};
  EXPECT_EQ(fleet.Run({"destroy", "a"}).out, "Destroyed a.service\n");
}

TEST(Fleetctl, RestartGoesOneByOneAndEndsAtAFailure) {
  FakeFleet fleet;
  for (const std::string name : {"w@1.service", "w@2.service", "w@3.service"})
    fleet.Add(name, "launched");
  EXPECT_EQ(fleet.Run({"restart", "w@*"}).code, kDone);
  ASSERT_THAT(fleet.Changes(), SizeIs(3));
  EXPECT_EQ(fleet.Changes()[0]["restart"], true);
  fleet.after_change = [](json& unit) {
    if (unit["name"] == "w@2.service") unit["progress"] = "failed";
  };
  const Result result = fleet.Run({"restart", "w@*"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(fleet.Changes(), SizeIs(5));
  EXPECT_THAT(result.err, HasSubstr("after w@2.service were not restarted"));
}

TEST(Fleetctl, VerifyChecksFilesWithoutACluster) {
  FakeFleet fleet;
  fleet.variables["FLEETCTL_ENDPOINT"] = "unix:///nonexistent";
  const std::string good = fleet.Write("a.service", kText);
  EXPECT_EQ(fleet.Run({"verify", good}).out, good + ": ok\n");
  const std::string bad = fleet.Write("b.service", "[X-Fleet]\nMachineOff=a\n");
  const Result result = fleet.Run({"verify", bad});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("MachineOf"));
  EXPECT_EQ(fleet.Run({"verify", "--force", bad}).code, kDone);
}

TEST(Fleetctl, SshRunsACommandHereWhenTheMachineIsThisOne) {
  FakeFleet fleet;
  fleet.local_machine_id = FakeFleet::kMachine;
  fleet.Add("a.service", "launched");
  EXPECT_EQ(fleet.Run({"ssh", "a.service", "exit", "7"}).code, 7);
  EXPECT_EQ(fleet.Run({"ssh", "8be9", "test", "-d", "/"}).code, 0);
  EXPECT_EQ(fleet.Run({"ssh", "--machine", "8be9", "test", "-f", "/"}).code, 1);
  const Result missing = fleet.Run({"ssh", "nothing", "true"});
  EXPECT_EQ(missing.code, kNotFound);
  EXPECT_THAT(missing.err, HasSubstr("nothing"));
}

TEST(Fleetctl, StatusOfAUnitThatIsNowhereEndsWithThree) {
  FakeFleet fleet;
  fleet.Add("a.service", "inactive");
  const Result result = fleet.Run({"status", "a"});
  EXPECT_EQ(result.code, kNotActive);
  EXPECT_THAT(result.err, HasSubstr("a.service does not appear to be running"));
  EXPECT_EQ(fleet.Run({"status", "absent"}).code, kNotFound);
}

TEST(Fleetctl, StatusAsJsonIsTheApisEntity) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  fleet.Add("b.service", "launched");
  fleet.units["a.service"]["systemdActiveState"] = "active";
  const Result one = fleet.Run({"status", "-o", "json", "a"});
  EXPECT_EQ(one.code, kDone) << one.err;
  EXPECT_EQ(nlohmann::json::parse(one.out)["systemdActiveState"], "active");
  const Result two = fleet.Run({"status", "-o", "json", "a", "b"});
  EXPECT_EQ(two.code, kNotActive);
  EXPECT_EQ(nlohmann::json::parse(two.out).size(), 2);
}

TEST(Fleetctl, StatusOfAGlobalUnitIsALinePerMachine) {
  FakeFleet fleet;
  fleet.Add("g.service", "launched");
  fleet.units["g.service"]["global"] = true;
  fleet.units["g.service"]["machines"] = json::array({{{"machineID", FakeFleet::kMachine},
                                                       {"systemdLoadState", "loaded"},
                                                       {"systemdActiveState", "active"},
                                                       {"systemdSubState", "running"}}});
  const Result result = fleet.Run({"status", "g"});
  EXPECT_EQ(result.code, kDone);
  EXPECT_EQ(result.out, "g.service\t8be9f57e.../10.0.0.1\tloaded\tactive\trunning\n");
  fleet.units["g.service"]["machines"][0]["systemdActiveState"] = "failed";
  EXPECT_EQ(fleet.Run({"status", "g"}).code, kNotActive);
  const Result journal = fleet.Run({"journal", "g"});
  EXPECT_EQ(journal.code, kFailed);
  EXPECT_THAT(journal.err, HasSubstr("--machine"));
}

TEST(Fleetctl, OldFlagsAreIgnoredWithANotice) {
  FakeFleet fleet;
  const Result result = fleet.Run({"--experimental-api", "--etcd-cafile", "x", "list-machines"});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.err, HasSubstr("--etcd-cafile has no effect"));
  EXPECT_THAT(result.out, Not(IsEmpty()));
}

}  // namespace
}  // namespace fleet::fleetctl
