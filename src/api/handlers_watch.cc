// GET /watch: server-sent events.

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "api/api_state.h"
#include "base/glob.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

std::vector<std::string> Split(const std::string& list) {
  return absl::StrSplit(list, ',', absl::SkipEmpty());
}

absl::StatusOr<WatchFilter> ReadFilter(const Query& query) {
  WatchFilter filter;
  if (const auto resources = query.GetAll("resource"); !resources.empty()) {
    filter.units = filter.states = filter.machines = false;
    for (const std::string& list : resources) {
      for (const std::string& resource : Split(list)) {
        if (resource == "units") {
          filter.units = true;
        } else if (resource == "state" || resource == "states") {
          filter.states = true;
        } else if (resource == "machines") {
          filter.machines = true;
        } else {
          return absl::InvalidArgumentError(fmt::format(
              "resource={} cannot be watched: units, state and machines can", resource));
        }
      }
    }
  }
  filter.unit_globs = query.GetAll("unit");
  for (const std::string& glob : filter.unit_globs) RETURN_IF_ERROR(CheckGlob(glob));
  return filter;
}

Response Watch(ApiState& state, const Request& request) {
  auto filter = ReadFilter(request.query);
  if (!filter.ok()) return ErrorResponse(filter.status());
  std::optional<int64_t> since;
  const auto given = request.query.Get("since");
  if (const auto& text = given ? given : request.last_event_id; text) {
    int64_t revision = 0;
    if (!absl::SimpleAtoi(*text, &revision) || revision < 0) {
      return ErrorResponse(
          400, fmt::format("since={} is not a revision: take the id of an event", *text));
    }
    // A browser's EventSource, which repeats the last id by itself, gives up at an error: it is
    // told everything anew. So is 0, the id of what comes before the first `sync`.
    if (given && revision > 0 && !state.hub.Remembers(revision)) {
      return ErrorResponse(
          410, fmt::format("what has changed since revision {} cannot be told (any more): begin "
                           "anew, without since",
                           revision));
    }
    since = revision;
  }
  Response response;
  response.content_type = "text/event-stream";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.events = [&state, filter = *std::move(filter),
                     since](std::shared_ptr<EventSink> sink) mutable {
    state.hub.AddClient(std::move(sink), std::move(filter), since);
  };
  return response;
}

}  // namespace

void AddWatchRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/watch",
                      .resource = "Watch",
                      .name = "Stream",
                      .description = "Server-sent events of units, states and machines.",
                      .parameters = {"resource", "unit", "since"},
                      .response_type = "text/event-stream",
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(Watch(state, request));
                      }});
}

}  // namespace fleet::api
