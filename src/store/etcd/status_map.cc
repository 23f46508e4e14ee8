#include "store/etcd/status_map.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fmt/core.h"

namespace fleet::store::etcd {

absl::Status FromGrpc(const grpc::Status& status, std::string_view what, std::string_view url) {
  if (status.ok()) return absl::OkStatus();
  const std::string& reason = status.error_message();
  auto code = static_cast<absl::StatusCode>(status.error_code());
  std::string_view advice;
  switch (status.error_code()) {
    case grpc::StatusCode::OUT_OF_RANGE:
      // Also what etcd says of a TTL that is too long.
      if (!absl::StrContains(reason, "revision")) code = absl::StatusCode::kInvalidArgument;
      break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (absl::StrContains(reason, "too many requests")) {
        code = absl::StatusCode::kUnavailable;
      } else if (absl::StrContains(reason, "larger than max")) {
        code = absl::StatusCode::kInvalidArgument;
      } else if (absl::StrContains(reason, "database space exceeded")) {
        advice =
            "; compact and defragment it or raise --quota-backend-bytes, then `etcdctl alarm "
            "disarm`";
      }
      break;
    case grpc::StatusCode::INVALID_ARGUMENT:
      if (absl::StrContains(reason, "user name is empty")) {
        code = absl::StatusCode::kUnauthenticated;
        advice =
            "; etcd wants a user: set etcd_username and etcd_password, or a client certificate";
      } else if (absl::StrContains(reason, "authentication failed")) {
        code = absl::StatusCode::kUnauthenticated;
        advice = "; check etcd_username and etcd_password";
      } else if (absl::StrContains(reason, "auth store is old")) {
        code = absl::StatusCode::kUnauthenticated;
      }
      break;
    case grpc::StatusCode::FAILED_PRECONDITION:
      if (absl::StrContains(reason, "lease")) code = absl::StatusCode::kInvalidArgument;
      break;
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::ABORTED:
      // A connection that breaks in the middle shows as one of these at times.
      code = absl::StatusCode::kUnavailable;
      break;
    default:
      break;
  }
  return {code, fmt::format("{} at etcd {}: {}{}", what, url, reason, advice)};
}

absl::Status OutcomeUnknown(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::DeadlineExceededError(absl::StrCat(status.message(), " (it may have taken effect)"));
}

bool IsMemberTrouble(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         absl::StrContains(status.error_message(), "etcdserver:");
}

bool IsRefusedUnseen(const grpc::Status& status) {
  // What etcd's interceptors answer, before the request gets to the server proper.
  const std::string& reason = status.error_message();
  return (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
          (absl::EndsWith(reason, "etcdserver: no leader") ||
           absl::EndsWith(reason, "etcdserver: not capable"))) ||
         (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
          absl::EndsWith(reason, "etcdserver: too many requests"));
}

bool IsTokenTrouble(const grpc::Status& status) {
  return (status.error_code() == grpc::StatusCode::UNAUTHENTICATED &&
          absl::StrContains(status.error_message(), "invalid auth token")) ||
         (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT &&
          (absl::StrContains(status.error_message(), "auth store is old") ||
           absl::StrContains(status.error_message(), "user name is empty")));
}

}  // namespace fleet::store::etcd
