#include <chrono>
#include <thread>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/flags.h"

namespace fleet::fleetctl {
namespace {

void Print(Session& session, const client::Event& event, bool json) {
  if (json) {
    session.out() << event.json << "\n";
    return;
  }
  session.out() << event.time << " " << event.kind;
  if (!event.unit.empty()) session.out() << " " << event.unit;
  if (!event.machine_id.empty()) session.out() << " " << session.LabelOf(event.machine_id);
  if (!event.reason.empty()) session.out() << ": " << event.reason;
  session.out() << "\n";
}

absl::StatusOr<int> Events(Session& session) {
  const Flags& flags = session.flags();
  const std::string output = flags.Text("output");
  if (!output.empty() && output != "json") {
    return UsageError(Cat("--output=", output, ": the only other format is json"));
  }
  const bool json = output == "json";
  std::string after;
  while (true) {
    ASSIGN_OR_RETURN(
        const auto events,
        session.api().ListEvents(flags.Text("unit"), flags.Text("machine"), after, json));
    for (const client::Event& event : events) {
      Print(session, event, json);
      after = event.id;
    }
    session.out().flush();
    if (!flags.On("follow") || !session.out()) return kDone;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
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
                    {"output", 'o', "FORMAT", "", "json: one JSON object a line"},
                    {"full", 'l', "", "", "do not shorten ids"}},
          .run = RunEvents,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
