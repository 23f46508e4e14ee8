#pragma once

// How ApiClient reaches a server: one connection at a time, to the first endpoint that answers,
// kept while the server keeps it open. Errors as in api_client.h. Used by one thread.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "client/api_client.h"
#include "client/http.h"
#include "client/sse.h"
#include "client/text.h"
#include "nlohmann/json.hpp"

namespace fleet::client {

class ApiCaller {
 public:
  explicit ApiCaller(ClientOptions options) : options_(std::move(options)) {}

  // What a request that may take `time` has more than others.
  absl::Duration Beyond(absl::Duration time) const {
    return std::max(time - options_.request_timeout, absl::ZeroDuration());
  }

  // The body of an answer below 300.
  absl::StatusOr<std::string> Call(const HttpRequest& request,
                                   absl::Duration extra = absl::ZeroDuration());
  absl::StatusOr<nlohmann::json> CallJson(const HttpRequest& request,
                                          absl::Duration extra = absl::ZeroDuration());
  absl::Status CallMachine(const std::string& machine, std::string_view what,
                           std::string body = "");
  // The stream that is served at `target`, or the error that is instead.
  absl::StatusOr<SseStream> OpenStream(const std::string& target);

  // All elements of the pages of a list.
  template <typename Entity>
  absl::StatusOr<std::vector<Entity>> List(const std::string& path, const std::string& member,
                                           const std::vector<std::string>& filters, bool keep_json,
                                           Entity (*from_json)(const nlohmann::json&)) {
    std::vector<Entity> entities;
    std::string token;
    do {
      std::vector<std::string> query = filters;
      query.push_back("limit=10000");
      if (!token.empty()) query.push_back(Cat("nextPageToken=", UrlEncode(token)));
      ASSIGN_OR_RETURN(const nlohmann::json page,
                       CallJson({.target = Cat(path, "?", Join(query, "&"))}));
      const auto elements = page.find(member);
      if (elements != page.end() && elements->is_array()) {
        entities.reserve(entities.size() + elements->size());
        for (const nlohmann::json& element : *elements) {
          entities.push_back(from_json(element));
          if (keep_json)
            entities.back().json =
                element.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        }
      }
      token = StringAt(page, "nextPageToken");
    } while (!token.empty());
    return entities;
  }

 private:
  absl::Time DeadlineFrom(absl::Duration extra = absl::ZeroDuration()) const;
  void Trace(std::string_view line) const {
    if (options_.trace) options_.trace(line);
  }
  void Warn(const HttpHead& head);
  absl::StatusOr<std::unique_ptr<HttpConnection>> Open(const Endpoint& endpoint) const;
  absl::StatusOr<std::unique_ptr<HttpConnection>> Connect(const Endpoint& endpoint) const;
  template <typename Result, typename Use>
  absl::StatusOr<Result> WithConnection(bool repeatable, Use use);
  template <typename Result>
  absl::StatusOr<Result> Named(absl::StatusOr<Result> result, size_t index) const;

  const ClientOptions options_;
  size_t current_ = 0;  // the endpoint used last
  std::unique_ptr<HttpConnection> connection_;
  std::set<std::string> warned_;  // codes of the warnings that were told
};

}  // namespace fleet::client
