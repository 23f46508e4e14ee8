#include <chrono>
#include <thread>

#include "base/status.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/flags.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

// A stream that ends before it has told anything is not opened anew at once.
constexpr std::chrono::seconds kBeforeAgain(1);

void Print(Session& session, const client::Event& event, const std::string& format) {
  if (format == "json") {
    session.out() << event.json << "\n";
    return;
  }
  if (format == "yaml") {
    session.out() << "---\n" << RenderEntities({event.json}, format, /*as_list=*/false);
    return;
  }
  session.out() << event.time << " " << event.kind;
  if (!event.unit.empty()) session.out() << " " << event.unit;
  if (!event.machine_id.empty()) session.out() << " " << session.LabelOf(event.machine_id);
  if (!event.reason.empty()) session.out() << ": " << event.reason;
  session.out() << "\n";
}

// Opens a stream anew that breaks off, where it broke off, until nobody answers or nobody reads.
absl::Status Follow(Session& session) {
  const Flags& flags = session.flags();
  std::string after;
  for (;;) {
    ASSIGN_OR_RETURN(const auto stream,
                     session.api().FollowEvents(flags.Text("unit"), flags.Text("machine"), after));
    bool told = false;
    for (;;) {
      const auto event = stream->Next(absl::InfiniteFuture());
      if (absl::IsUnavailable(event.status())) break;
      RETURN_IF_ERROR(event.status());
      if (!*event) continue;
      told = true;
      Print(session, **event, flags.Text("output"));
      if (!session.out().flush()) return absl::OkStatus();
    }
    after = stream->resume();
    if (!told) std::this_thread::sleep_for(kBeforeAgain);
  }
}

absl::StatusOr<int> Events(Session& session) {
  const Flags& flags = session.flags();
  const std::string output = flags.Text("output");
  RETURN_IF_ERROR(CheckFormat(flags, {"text", "json", "yaml"}));
  if (flags.On("follow")) {
    RETURN_IF_ERROR(Follow(session));
    return kDone;
  }
  ASSIGN_OR_RETURN(
      const auto events,
      session.api().ListEvents(flags.Text("unit"), flags.Text("machine"), "", output != "text"));
  for (const client::Event& event : events) Print(session, event, output);
  return kDone;
}

int RunEvents(Session& session) {
  const auto code = Events(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command EventsCommand() {
  return {.name = "events",
          .summary = "Show what the cluster did, and why",
          .arguments = "",
          .description = "The oldest first. The registry keeps events_max records of fleet.conf.",
          .example =
              "  fleetctl events --unit=hello.service\n"
              "  fleetctl events -f",
          .flags = {{"follow", 'f', "", "", "go on with new ones as they come"},
                    {"unit", 0, "NAME", "", "only those of this unit"},
                    {"machine", 0, "ID", "", "only those of this machine, by its whole id"},
                    {"output", 'o', "FORMAT", "text",
                     "text, json (an object a line) or yaml (a document each)"},
                    {"full", 'l', "", "", "do not shorten ids"}},
          .run = RunEvents,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
