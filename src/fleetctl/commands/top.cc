#include <algorithm>
#include <csignal>
#include <memory>

#include "absl/time/clock.h"
#include "base/status.h"
#include "client/clock.h"
#include "fleetctl/cluster_feed.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/full_screen.h"
#include "fleetctl/top_screen.h"

namespace fleet::fleetctl {
namespace {

// Changes that come within this time after a picture are drawn together.
constexpr absl::Duration kGather = absl::Milliseconds(100);
constexpr absl::Duration kClock = absl::Seconds(1);
constexpr int kSignalled = 128;  // and the signal's number: as a shell has it

std::string Clock() { return absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()); }

// Where there is no terminal: one picture.
absl::Status PrintOnce(Session& session) {
  ClusterPicture picture;
  ASSIGN_OR_RETURN(const auto machines, session.api().ListMachines());
  for (const client::Machine& machine : machines) picture.machines[machine.id] = machine;
  ASSIGN_OR_RETURN(const auto units, session.api().ListUnits(client::ApiClient::View::kSummary));
  for (const client::Unit& unit : units) picture.units[unit.name] = unit;
  ASSIGN_OR_RETURN(const auto changes, session.api().ListEvents("", "", "", false));
  for (const client::Event& change : changes) picture.Add(change);
  for (const std::string& line : DrawTop(picture, {.clock = Clock()}))
    session.out() << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  return absl::OkStatus();
}

// False to end.
bool Handle(const Press& press, const ClusterPicture& picture, TopView& view) {
  const size_t page = view.rows / 2;
  const size_t last = LastFirstUnit(picture, view);
  switch (press.key) {
    case Key::kQuit:
      return false;
    case Key::kUp:
      view.first_unit -= std::min<size_t>(view.first_unit, 1);
      break;
    case Key::kDown:
      ++view.first_unit;
      break;
    case Key::kPageUp:
      view.first_unit -= std::min(view.first_unit, page);
      break;
    case Key::kPageDown:
      view.first_unit += page;
      break;
    case Key::kHome:
      view.first_unit = 0;
      break;
    case Key::kEnd:
      view.first_unit = last;
      break;
    case Key::kOther:
      if (press.letter != 't') break;
      view.troubled_only = !view.troubled_only;
      view.first_unit = 0;
      break;
  }
  return true;
}

// The exit code.
absl::StatusOr<int> DrawUntilQuit(Session& session) {
  // An API that is not there is told before the screen is taken.
  RETURN_IF_ERROR(session.api().ListMachines().status());
  ClusterFeed feed(session.client_options());
  ASSIGN_OR_RETURN(const std::unique_ptr<FullScreen> screen, FullScreen::Open(session.out()));
  TopView view{.colour = session.has_colour()};
  for (;;) {
    screen->Measure();
    view.rows = screen->rows();
    view.columns = screen->columns();
    view.clock = Clock();
    const ClusterPicture picture = feed.picture();
    view.first_unit = std::min(view.first_unit, LastFirstUnit(picture, view));
    screen->Draw(DrawTop(picture, view));
    if (!session.out()) return kDone;
    const absl::Time drawn = client::MonotonicNow();
    std::vector<Press> presses = screen->Wait(feed.changed(), kClock);
    // No faster than the eye; a key is heeded at once.
    const absl::Duration left = drawn + kGather - client::MonotonicNow();
    if (presses.empty() && left > absl::ZeroDuration()) presses = screen->Wait(-1, left);
    for (const Press& press : presses) {
      if (Handle(press, picture, view)) continue;
      // SIGINT is how it is told to quit, by a key or by somebody else.
      const int signal = screen->signal();
      return signal == 0 || signal == SIGINT ? kDone : kSignalled + signal;
    }
  }
}

int RunTop(Session& session) {
  if (session.environment().terminal) {
    const auto code = DrawUntilQuit(session);
    return code.ok() ? *code : session.Fail(code.status());
  }
  const absl::Status status = PrintOnce(session);
  return status.ok() ? kDone : session.Fail(status);
}

}  // namespace

Command TopCommand() {
  return {
      .name = "top",
      .summary = "Show machines, units and what happens, live on the whole terminal",
      .arguments = "",
      .description =
          "Units that have failed come first, then those that wait or are on their way. Keys: q "
          "quits; arrows\nand page keys move through the units; t shows only those in trouble. "
          "Prints one picture where the\noutput is not a terminal.",
      .example = "  fleetctl top",
      .flags = {},
      .run = RunTop,
      .max_arguments = 0};
}

}  // namespace fleet::fleetctl
