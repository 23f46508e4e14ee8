// /healthz and /readyz, for load balancers and supervisors.

#include "api/api_state.h"

namespace fleet::api {

void AddHealthRoutes(ApiState& state) {
  state.router.Add({.method = "GET",
                    .pattern = "/healthz",
                    .description = "fleetd runs.",
                    .response_type = "text/plain",
                    .handler = [](const Request&, Responder respond) {
                      Response response = JsonResponse(200, "ok\n");
                      response.content_type = "text/plain; charset=utf-8";
                      respond(std::move(response));
                    }});
  AddWithView(state, {.method = "GET",
                      .pattern = "/readyz",
                      .description = "It is a member, and hears from the registry.",
                      .response_type = "text/plain",
                      .handler = [&state](const Request&, Responder respond) {
                        if (const std::string stale = StaleText(state); !stale.empty()) {
                          return respond(ErrorResponse(503, stale));
                        }
                        Response response = JsonResponse(200, "ok\n");
                        response.content_type = "text/plain; charset=utf-8";
                        respond(std::move(response));
                      }});
}

}  // namespace fleet::api
