// What top shows, its keys, and signals.

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <utility>

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "fleetctl/full_screen.h"
#include "fleetctl/top_screen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using client::WatchEvent;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

client::Unit UnitOf(const std::string& name, const std::string& progress,
                    const std::string& active) {
  client::Unit unit{.name = name, .desired_state = "launched", .target = std::string(32, 'a')};
  unit.status = {.progress = progress, .active_state = active, .sub_state = "x"};
  return unit;
}

ClusterPicture Picture(size_t machines, size_t units, size_t changes) {
  ClusterPicture picture;
  for (size_t i = 0; i < machines; ++i) {
    client::Machine machine{.id = std::to_string(10 + i) + std::string(30, 'a'),
                            .primary_ip = "10.0.0.1",
                            .state = "ready"};
    picture.machines[machine.id] = machine;
  }
  for (size_t i = 0; i < units; ++i) {
    const std::string name = "u" + std::to_string(100 + i) + ".service";
    picture.units[name] = UnitOf(name, "reached", "active");
  }
  for (size_t i = 0; i < changes; ++i)
    picture.Add({.time = "2026-01-02T03:04:05+00:00", .kind = "placed", .unit = "c.service"});
  return picture;
}

size_t WidthOf(const std::string& line) {
  size_t width = 0;
  for (const char c : line) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return width;
}

TEST(Top, FillsTheScreenAndNoMore) {
  for (const auto& [rows, columns] :
       {std::pair<size_t, size_t>{24, 80}, {10, 40}, {50, 200}, {11, 41}}) {
    for (const size_t many : {0, 1, 3, 200}) {
      const auto lines = DrawTop(Picture(many, many, many), {.rows = rows, .columns = columns});
      EXPECT_THAT(lines, SizeIs(rows)) << rows << " " << many;
      for (const std::string& line : lines) EXPECT_EQ(WidthOf(line), columns) << line;
    }
  }
}

TEST(Top, SaysSoWhereThereIsNoRoom) {
  EXPECT_THAT(DrawTop(Picture(1, 1, 1), {.rows = 5, .columns = 80}),
              Contains(HasSubstr("top needs 40x10")));
  DrawTop(Picture(1, 1, 1), {.rows = 0, .columns = 0});
}

TEST(Top, ShowsWhatNeedsALookFirst) {
  ClusterPicture picture = Picture(1, 50, 0);
  picture.units["z.service"] = UnitOf("z.service", "failed", "failed");
  picture.units["y.service"] = UnitOf("y.service", "waiting", "");
  picture.units["y.service"].status.reason = "no machine is eligible";
  const auto lines = DrawTop(picture, {.clock = "03:04:05"});
  EXPECT_THAT(lines[0], HasSubstr("1 machines  52 units: 50 active, 1 failed, 1 waiting"));
  const auto title = std::find_if(lines.begin(), lines.end(),
                                  [](const auto& line) { return line.starts_with("UNIT"); });
  EXPECT_THAT(title[1], StartsWith("z.service"));
  EXPECT_THAT(title[2], StartsWith("y.service"));
  EXPECT_THAT(title[2], HasSubstr("no machine is eligible"));
  EXPECT_THAT(title[3], StartsWith("u100.service"));
}

TEST(Top, ShowsWhatSomebodyElseHasChanged) {
  ClusterPicture picture = Picture(1, 3, 0);
  picture.units["z.service"] = UnitOf("z.service", "reached", "inactive");
  picture.units["z.service"].status.drift = "stopped by hand";
  const auto lines = DrawTop(picture, {.troubled_only = true});
  EXPECT_THAT(lines[0], HasSubstr("3 active, 1 drifted"));
  EXPECT_THAT(lines, Contains(testing::AllOf(StartsWith("z.service"), HasSubstr("by hand"))));
}

TEST(Top, MovesThroughTheUnitsToTheLastOne) {
  const ClusterPicture picture = Picture(3, 100, 5);
  TopView view;
  view.first_unit = LastFirstUnit(picture, view);
  EXPECT_THAT(DrawTop(picture, view), Contains(StartsWith("u199.service")));
  EXPECT_THAT(DrawTop(picture, view), Not(Contains(StartsWith("u100.service"))));
  EXPECT_EQ(LastFirstUnit(Picture(3, 2, 5), view), 0);
}

TEST(Top, HidesWhatIsWellIfAsked) {
  ClusterPicture picture = Picture(1, 5, 0);
  picture.units["z.service"] = UnitOf("z.service", "failed", "failed");
  const auto lines = DrawTop(picture, {.troubled_only = true});
  EXPECT_THAT(lines, Contains(StartsWith("z.service")));
  EXPECT_THAT(lines, Not(Contains(StartsWith("u100.service"))));
}

TEST(Top, HasALineForEachMachineOfAGlobalUnit) {
  ClusterPicture picture;
  client::Unit unit{.name = "g.service", .global = true};
  unit.machines = {{.machine_id = std::string(32, 'a'), .progress = "reached"},
                   {.machine_id = std::string(32, 'b'), .progress = "reached"}};
  picture.units["g.service"] = unit;
  const auto lines = DrawTop(picture, {});
  EXPECT_THAT(lines, Contains(HasSubstr("aaaaaaaa...")));
  EXPECT_THAT(lines, Contains(HasSubstr("bbbbbbbb...")));
}

TEST(Top, WhatAUnitIsCalledCannotMoveTheCursor) {
  ClusterPicture picture = Picture(1, 0, 0);
  picture.units["a"] = UnitOf("a\033[2J", "reached", "active");
  EXPECT_THAT(DrawTop(picture, {}), Each(Not(HasSubstr("\033"))));
}

TEST(Top, FollowsWhatTheStreamTells) {
  ClusterPicture picture = Picture(1, 1, 0);
  WatchEvent event{.kind = WatchEvent::Kind::kUnit, .unit = UnitOf("n.service", "reached", "")};
  picture.Apply(event);
  EXPECT_TRUE(picture.units.contains("n.service"));
  picture.Apply({.kind = WatchEvent::Kind::kUnitRemoved, .name = "n.service"});
  EXPECT_FALSE(picture.units.contains("n.service"));
  const std::string machine = picture.machines.begin()->first;
  picture.Apply({.kind = WatchEvent::Kind::kMachineRemoved, .machine_id = machine});
  EXPECT_THAT(picture.machines, IsEmpty());
}

TEST(Top, KnowsItsKeys) {
  const auto keys = KeysOf("q\033[A\033[6~x");
  ASSERT_THAT(keys, SizeIs(4));
  EXPECT_EQ(keys[0].key, Key::kQuit);
  EXPECT_EQ(keys[1].key, Key::kUp);
  EXPECT_EQ(keys[2].key, Key::kPageDown);
  EXPECT_EQ(keys[3].letter, 'x');
}

TEST(Top, PrintsOnePictureWhereThereIsNoTerminal) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  const Result result = fleet.Run({"top"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1 machines  1 units"));
  EXPECT_THAT(result.out, HasSubstr("a.service"));
}

struct Ended {
  int status = 0;      // of wait(2)
  std::string output;  // what the terminal was sent
};

// Runs top on a terminal of its own, and sends it a signal as soon as it has drawn.
Ended EndTopBy(int signal) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    Environment environment = fleet.EnvironmentOf(std::cin, std::cout, std::cerr);
    environment.terminal = true;
    _exit(Run({"top"}, environment));
  }
  Ended ended;
  bool sent = false;
  std::array<char, 4096> bytes{};
  // Linux fails reading with EIO when nobody has the terminal open any more.
  for (ssize_t n = 0; (n = read(terminal, bytes.data(), bytes.size())) > 0;) {
    ended.output.append(bytes.data(), static_cast<size_t>(n));
    if (!sent && ended.output.find("a.service") != std::string::npos) {
      kill(child, signal);
      sent = true;
    }
  }
  waitpid(child, &ended.status, 0);
  close(terminal);
  return ended;
}

TEST(Top, ASignalLeavesTheTerminalAsItWas) {
  for (const auto& [signal, code] :
       {std::pair{SIGTERM, 143}, {SIGHUP, 129}, {SIGQUIT, 131}, {SIGINT, 0}}) {
    const Ended ended = EndTopBy(signal);
    EXPECT_TRUE(WIFEXITED(ended.status)) << signal;
    EXPECT_EQ(WEXITSTATUS(ended.status), code) << signal;
    EXPECT_THAT(ended.output, HasSubstr("\033[?25h\033[?1049l")) << signal;
  }
}

}  // namespace
}  // namespace fleet::fleetctl
