#pragma once

// What the API says of rollouts. Pure.

#include <string>

#include "api/http.h"
#include "model/cluster_view.h"

namespace fleet::api {

// The last rollout of `name`; 404 if there has been none.
Response RolloutResponse(const ClusterView& view, const std::string& name);

// A page of the last ones of all, as `query` has it; without `limit` and `nextPageToken` they come
// at once. 400 if it makes no sense.
Response RolloutsResponse(const ClusterView& view, const Query& query);

}  // namespace fleet::api
