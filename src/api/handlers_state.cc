// /state: what machines report of units.

#include <optional>
#include <utility>

#include "api/api_state.h"
#include "api/conditional.h"
#include "api/entities.h"
#include "api/page.h"

namespace fleet::api {
namespace {

Response ListStates(const ApiState& state, const Request& request) {
  const auto page =
      ReadPageRequest(request.query, "state", {"machineID", "unitName"}, state.context.token_limit);
  if (!page.ok()) return ErrorResponse(page.status());
  const auto machine = page->filters.find("machineID");
  const auto unit = page->filters.find("unitName");
  const bool one_machine = machine != page->filters.end();
  const bool one_unit = unit != page->filters.end();

  const auto& states = state.view->states;
  UnitOnMachine from{page->next_unit, page->next_machine};
  if (one_unit && from.unit < unit->second) from = {unit->second, ""};
  JsonWriter body;
  body.BeginObject().Key("states").BeginArray();
  size_t written = 0;
  std::optional<UnitOnMachine> next;
  for (auto it = states.lower_bound(from); it != states.end(); ++it) {
    if (one_unit && it->first.unit != unit->second) break;
    if (one_machine && it->first.machine != machine->second) continue;
    if (!IsListed(it->second.value)) continue;
    if (written == page->size) {
      next = it->first;
      break;
    }
    WriteState(body, it->first, it->second.value);
    ++written;
  }
  body.EndArray();
  if (next) {
    body.Always("nextPageToken", NextPageToken(*page, "state", next->unit, next->machine));
  }
  body.EndObject();
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response);
  return response;
}

}  // namespace

void AddStateRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/state",
                      .resource = "UnitState",
                      .name = "List",
                      .description = "Retrieve a page of UnitState objects.",
                      .parameters = {"nextPageToken", "limit", "unitName", "machineID"},
                      .response_schema = "UnitStatePage",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(ListStates(state, request));
                      }});
}

}  // namespace fleet::api
