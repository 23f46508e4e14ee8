#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "base/glob.h"
#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/flags.h"
#include "fleetctl/output.h"
#include "fleetctl/remote.h"
#include "fleetctl/select.h"
#include "fleetctl/since.h"

namespace fleet::fleetctl {
namespace {

// A stream that ends before it has told anything is not opened anew at once.
constexpr std::chrono::seconds kBeforeAgain(1);

// With as many digits as all others; as it is, if it is no time.
std::string Aligned(const std::string& text) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return text;
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6S%Ez", time, absl::UTCTimeZone());
}

void Print(Session& session, const client::Event& event, const std::string& format) {
  if (format == "json") {
    session.out() << event.json << "\n";
    return;
  }
  if (format == "yaml") {
    session.out() << "---\n" << RenderEntities({event.json}, format, /*as_list=*/false);
    return;
  }
  session.out() << Aligned(event.time) << " " << event.kind;
  if (!event.unit.empty()) session.out() << " " << event.unit;
  if (!event.machine_id.empty()) session.out() << " " << session.LabelOf(event.machine_id);
  if (!event.reason.empty()) {
    session.out() << ": " << WithShortIds(event.reason, session.flags().On("full"));
  }
  session.out() << "\n";
}

// Which ones are asked for. A glob is looked for here.
struct Filter {
  std::string unit;
  std::string machine;
  std::string glob;
  absl::Time since = absl::InfinitePast();
  std::optional<size_t> last;  // so many of those that there are

  bool Takes(const client::Event& event) const {
    absl::Time time;
    const bool is_before = since != absl::InfinitePast() &&
                           absl::ParseTime(absl::RFC3339_full, event.time, &time, nullptr) &&
                           time < since;
    return !is_before && (glob.empty() || GlobMatches(glob, event.unit));
  }
};

absl::StatusOr<Filter> FilterFrom(Session& session) {
  const Flags& flags = session.flags();
  Filter filter;
  if (const std::string unit = flags.Text("unit"); IsGlob(unit)) {
    filter.glob = unit;
  } else if (!unit.empty()) {
    filter.unit = NameFrom(unit);
  }
  if (const std::string machine = flags.Text("machine"); !machine.empty()) {
    ASSIGN_OR_RETURN(filter.machine, FindMachineEvenAway(session, machine));
  }
  if (const std::string since = flags.Text("since"); !since.empty()) {
    ASSIGN_OR_RETURN(filter.since, ParseSince(since, absl::Now(), absl::LocalTimeZone()));
  }
  if (!flags.Text("lines").empty()) {
    ASSIGN_OR_RETURN(filter.last, flags.Number("lines"));
  }
  return filter;
}

// Those that there are; where those go on that come later.
absl::StatusOr<std::string> PrintPresent(Session& session, const Filter& filter) {
  const std::string output = session.flags().Text("output");
  ASSIGN_OR_RETURN(std::vector<client::Event> events,
                   session.api().ListEvents(filter.unit, filter.machine, "", HasEntities(output)));
  std::string after = events.empty() ? "" : events.back().id;
  std::erase_if(events, [&](const client::Event& event) { return !filter.Takes(event); });
  const size_t shown = std::min(filter.last.value_or(events.size()), events.size());
  for (auto event = events.end() - static_cast<std::ptrdiff_t>(shown); event != events.end();
       ++event) {
    Print(session, *event, output);
  }
  session.out().flush();
  return after;
}

// Opens a stream anew that breaks off, where it broke off, until nobody answers or nobody reads.
absl::Status Follow(Session& session, const Filter& filter, std::string after) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto stream,
                     session.api().FollowEvents(filter.unit, filter.machine, after));
    bool told = false;
    for (;;) {
      const auto event = stream->Next(absl::InfiniteFuture());
      if (absl::IsUnavailable(event.status())) break;
      RETURN_IF_ERROR(event.status());
      if (!*event) continue;
      told = true;
      if (!filter.Takes(**event)) continue;
      Print(session, **event, session.flags().Text("output"));
      if (!session.out().flush()) return absl::OkStatus();
    }
    after = stream->resume();
    if (!told) std::this_thread::sleep_for(kBeforeAgain);
  }
}

absl::StatusOr<int> Events(Session& session) {
  const Flags& flags = session.flags();
  RETURN_IF_ERROR(CheckFormat(flags));
  ASSIGN_OR_RETURN(const Filter filter, FilterFrom(session));
  std::string after;
  if (!flags.On("follow") || filter.last) {
    ASSIGN_OR_RETURN(after, PrintPresent(session, filter));
  }
  if (flags.On("follow")) RETURN_IF_ERROR(Follow(session, filter, std::move(after)));
  return kDone;
}

int RunEvents(Session& session) {
  const auto code = Events(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command EventsCommand() {
  return {
      .name = "events",
      .summary = "Show what the cluster did, and why",
      .arguments = "",
      .description = "The oldest first. The registry keeps events_max records of fleet.conf.",
      .example =
          "  fleetctl events --unit=hello.service\n"
          "  fleetctl events --since=10m\n"
          "  fleetctl events -n 20 -f",
      .flags = {{"follow", 'f', "", "", "go on with new ones as they come"},
                {"lines", 'n', "N", "", "only the last N of them"},
                {"since", 0, "TIME", "", "only later ones: 10m (ago), \"2026-01-02 03:04\", today"},
                {"unit", 0, "NAME", "",
                 "only those of this unit, or of those that a quoted glob matches"},
                {"machine", 0, "MACHINE", "", "only those of this machine"},
                OutputFlag("text or table, wide, json (an object a line) or yaml (a document "
                           "each)"),
                {"full", 'l', "", "", "do not shorten ids"}},
      .run = RunEvents,
      .max_arguments = 0};
}

}  // namespace fleet::fleetctl
