#pragma once

// Pages of lists. A page token says where the next page begins and repeats the filters and the page
// size, so that the server keeps nothing between two requests. It is opaque to clients.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/http.h"

namespace fleet::api {

inline constexpr size_t kMaxPageSize = 10'000;

struct PageRequest {
  size_t size = 0;
  std::string next_unit;     // the first entity is this one or, if gone, the one after it
  std::string next_machine;  // second part of the key, of states
  std::map<std::string, std::string> filters;  // those that are given and not empty
};

// Reads `nextPageToken`, `limit` and the query parameters named by `filters`. Filters that are
// given win over those in the token. `list` names the list the token is for. INVALID_ARGUMENT for a
// token that was not made for this list, and for a bad limit.
absl::StatusOr<PageRequest> ReadPageRequest(const Query& query, std::string_view list,
                                            const std::vector<std::string>& filters,
                                            size_t default_size);

// The token for the page that follows `page` and begins with this entity.
std::string NextPageToken(const PageRequest& page, std::string_view list,
                          std::string_view next_unit, std::string_view next_machine = {});

}  // namespace fleet::api
