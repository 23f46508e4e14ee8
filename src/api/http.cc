#include "api/http.h"

#include "api/json_writer.h"

namespace fleet::api {

std::optional<std::string> Query::Get(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Query::GetAll(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : items_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

bool Query::IsTrue(std::string_view name) const {
  const auto value = Get(name);
  return value && (value->empty() || *value == "true" || *value == "1");
}

int HttpCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kOutOfRange:
      return 410;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kResourceExhausted:
      return 507;
    default:
      return 500;
  }
}

Response JsonResponse(int code, std::string body) {
  Response response;
  response.code = code;
  response.body = std::move(body);
  return response;
}

Response ErrorResponse(int code, std::string_view message) {
  JsonWriter json;
  json.BeginObject().Key("error").BeginObject();
  json.Key("code").Int(code).Always("message", message);
  json.EndObject().EndObject();
  Response response = JsonResponse(code, json.Take());
  if (code == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response ErrorResponse(const absl::Status& status) {
  return ErrorResponse(HttpCode(status.code()), std::string(status.message()));
}

}  // namespace fleet::api
