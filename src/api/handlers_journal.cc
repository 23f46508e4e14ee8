// GET /units/NAME/journal: the journal of a unit as server-sent events, from the machine that has
// it; any other one asks that machine's API, and passes on what it says.

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "api/api_state.h"
#include "api/entities.h"
#include "api/json_writer.h"
#include "api/router.h"
#include "base/status.h"
#include "fmt/core.h"
#include "fmt/format.h"
#include "model/machine_word.h"
#include "model/unit_name.h"
#include "nlohmann/json.hpp"

namespace fleet::api {
namespace {

using nlohmann::json;

constexpr int64_t kMostLines = 10'000;

struct Question {
  JournalRequest journal;
  std::string machine;     // or the beginning of its id; empty: where the unit is
  bool forwarded = false;  // another machine asks: it is not passed on once more
};

absl::StatusOr<Question> Read(const Request& request) {
  Question question{.journal = {.unit = request.path_parameter}};
  JournalRequest& journal = question.journal;
  if (const auto lines = request.query.Get("lines");
      lines && (!absl::SimpleAtoi(*lines, &journal.lines) || journal.lines < 0 ||
                journal.lines > kMostLines)) {
    return absl::InvalidArgumentError(
        fmt::format("lines={} is not a number from 0 to {}", *lines, kMostLines));
  }
  journal.follow = request.query.IsTrue("follow");
  journal.after = request.last_event_id.value_or(request.query.Get("after").value_or(""));
  // sd_journal_get_cursor(3) has it opaque; systemd's all begin so.
  if (!journal.after.empty() && !journal.after.starts_with("s=")) {
    return absl::InvalidArgumentError(
        fmt::format("after={} is no cursor: take the id of a message", journal.after));
  }
  question.machine = request.query.Get("machineID").value_or("");
  question.forwarded = request.query.IsTrue("forwarded");
  return question;
}

// One that the cluster has, or had: of any other unit of a machine, its journal is nobody's here.
bool IsKnown(const ClusterView& view, const std::string& unit) {
  return view.units.Find(unit) != nullptr ||
         InUnit(FirstOf(view.assignments, unit), view.assignments, unit) ||
         InUnit(FirstOf(view.states, unit), view.states, unit);
}

// The one machine that has the unit, by what is assigned and, failing that, by what is reported.
absl::StatusOr<std::string> MachineOf(const ClusterView& view, const std::string& unit) {
  const bool registered = view.units.Find(unit) != nullptr;
  std::vector<std::string> machines;
  if (registered) machines = AssignedTo(view, unit);
  if (machines.empty()) {
    for (auto it = FirstOf(view.states, unit); InUnit(it, view.states, unit); ++it)
      machines.push_back(it->first.machine);
  }
  if (machines.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("unit {} is on no machine; machineID= names one that had it", unit));
  }
  if (machines.size() > 1) {
    return absl::InvalidArgumentError(
        fmt::format("unit {} is on {} machines; machineID= names one of them: {}", unit,
                    machines.size(), fmt::join(machines, ", ")));
  }
  return machines[0];
}

// journalctl gives text that is not UTF-8 as an array of bytes, and of a field that is there
// several times an array of its values.
std::string TextOf(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array() || value.empty()) return "";
  if (!value[0].is_number_unsigned()) return TextOf(value[0]);
  std::string text;
  for (const json& byte : value) {
    const auto number = byte.is_number_unsigned() ? byte.get<uint64_t>() : 0;
    text += static_cast<char>(static_cast<unsigned char>(number));
  }
  return text;
}

std::string Field(const json& entry, const char* name) {
  const auto it = entry.find(name);
  return it == entry.end() ? "" : TextOf(*it);
}

// A line of journalctl --output=json as a message of the stream.
std::string MessageOf(std::string_view line, const std::string& unit, const std::string& machine) {
  const json entry = json::parse(line, nullptr, false);
  if (!entry.is_object()) return "";
  int64_t micros = 0;
  int64_t number = 0;
  static_cast<void>(absl::SimpleAtoi(Field(entry, "__REALTIME_TIMESTAMP"), &micros));
  std::string identifier = Field(entry, "SYSLOG_IDENTIFIER");
  if (identifier.empty()) identifier = Field(entry, "_COMM");
  JsonWriter data;
  data.BeginObject()
      .Always("time", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMicros(micros),
                                       absl::UTCTimeZone()))
      .Always("unit", unit)
      .Always("machineID", machine)
      .Member("identifier", identifier);
  if (absl::SimpleAtoi(Field(entry, "_PID"), &number)) data.Key("pid").Int(number);
  if (absl::SimpleAtoi(Field(entry, "PRIORITY"), &number)) data.Key("priority").Int(number);
  data.Always("message", Field(entry, "MESSAGE")).EndObject();
  return fmt::format("id: {}\nevent: entry\ndata: {}\n\n", Field(entry, "__CURSOR"), data.text());
}

// Without it a journal that breaks off would look like one that is complete. journalctl does not
// end by itself where it follows. ("error" is what browsers say when a connection breaks.)
std::string LastMessage(const absl::Status& ended, bool follow, const std::string& machine) {
  if (ended.ok() && !follow) return "event: end\ndata: {}\n\n";
  JsonWriter data;
  data.BeginObject()
      .Always(
          "reason",
          fmt::format("the journal of machine {} cannot be read on: {}; the log of "
                      "its fleetd may say why",
                      machine, ended.ok() ? "journalctl has ended" : std::string(ended.message())))
      .EndObject();
  return fmt::format("event: failed\ndata: {}\n\n", data.text());
}

void AnswerHere(ApiState& state, const JournalRequest& journal, Responder respond) {
  const ApiContext& context = state.context;
  if (!context.open_journal || context.streams == nullptr) {
    respond(ErrorResponse(501, "this API has no journal to read"));
    return;
  }
  auto reader = context.open_journal(journal);
  if (!reader.ok()) {
    respond(ErrorResponse(reader.status()));
    return;
  }
  Response response;
  response.content_type = "text/event-stream";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.events = [streams = context.streams, reader = *std::move(reader), unit = journal.unit,
                     follow = journal.follow,
                     machine = context.machine_id](std::shared_ptr<EventSink> sink) mutable {
    streams->CopyLines(
        std::move(reader), std::move(sink),
        [unit, machine](std::string_view line) { return MessageOf(line, unit, machine); },
        [follow, machine](const absl::Status& ended) {
          return LastMessage(ended, follow, machine);
        });
  };
  respond(std::move(response));
}

// As it stands before a port.
std::string HostOf(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

void AskMachine(ApiState& state, const JournalRequest& journal, const std::string& machine,
                Responder respond) {
  const auto* record = state.view->machines.Find(machine);
  if (record == nullptr) {
    respond(ErrorResponse(
        409, fmt::format("machine {}, which has unit {}, is not there", machine, journal.unit)));
    return;
  }
  const std::vector<std::string>& endpoints = record->value.api_endpoints;
  if (endpoints.empty() || state.context.streams == nullptr) {
    respond(ErrorResponse(
        409,
        fmt::format("machine {} ({}), which has unit {}, serves its API to itself only, so its "
                    "journal cannot be read from here: set listen=[\"{}:49153\"] in its "
                    "/etc/fleet/fleet.conf, with listen_cafile, listen_certfile and "
                    "listen_keyfile (or listen_insecure=true), and restart its fleetd; or "
                    "read it over SSH with \"fleetctl journal {}\"",
                    machine, record->value.hostname, journal.unit,
                    record->value.address.empty() ? "ADDRESS" : HostOf(record->value.address),
                    journal.unit)));
    return;
  }
  std::string target =
      fmt::format("/fleet/v1/units/{}/journal?forwarded=true&machineID={}&lines={}",
                  PercentEncode(journal.unit), PercentEncode(machine), journal.lines);
  if (journal.follow) target += "&follow=true";
  if (!journal.after.empty()) target += "&after=" + PercentEncode(journal.after);
  state.context.streams->Forward(
      {.machine = machine, .endpoints = endpoints, .target = std::move(target)},
      std::move(respond));
}

void Journal(ApiState& state, const Request& request, Responder respond) {
  const auto question = Read(request);
  if (!question.ok()) {
    respond(ErrorResponse(question.status()));
    return;
  }
  // Of another name journalctl might make a pattern.
  if (!UnitName::Parse(question->journal.unit).ok() ||
      !IsKnown(*state.view, question->journal.unit)) {
    respond(ErrorResponse(404, fmt::format("unit {} does not exist", question->journal.unit)));
    return;
  }
  const auto machine = question->machine.empty()
                           ? MachineOf(*state.view, question->journal.unit)
                           : FindPresentMachine(*state.view, question->machine);
  if (!machine.ok()) {
    respond(ErrorResponse(machine.status()));
  } else if (*machine == state.context.machine_id) {
    AnswerHere(state, question->journal, std::move(respond));
  } else if (question->forwarded) {
    respond(ErrorResponse(
        409, fmt::format("this is machine {}, not {}: its record names a wrong address (public_ip, "
                         "listen)",
                         state.context.machine_id, *machine)));
  } else {
    AskMachine(state, question->journal, *machine, std::move(respond));
  }
}

}  // namespace

void AddJournalRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/units/{unitName}/journal",
                      .resource = "Units",
                      .name = "Journal",
                      .description = "Server-sent events: the journal of a Unit, from its Machine.",
                      .parameters = {"lines", "follow", "after", "machineID", "forwarded"},
                      .response_type = "text/event-stream",
                      .handler = [&state](const Request& request, Responder respond) {
                        Journal(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
