#pragma once

// What the API says of rollouts. Pure.

#include <string>

#include "api/http.h"
#include "model/cluster_view.h"

namespace fleet::api {

// The last rollout of `name`; 404 if there has been none.
Response RolloutResponse(const ClusterView& view, const std::string& name);

// The last ones of all.
Response RolloutsResponse(const ClusterView& view);

}  // namespace fleet::api
