#pragma once

// How fleetd and fleet-guard talk: two files in a directory of the guard's on /run, each replaced
// as a whole, so that either side may crash and start at any time.
//
//   order    fleetd's: units, deadline (a GuardOrder) and a random id
//   answer   the guard's: the id of the order that it holds, and the units that it has stopped
//   closed   the guard's: exists while the units must not be started. A drop-in of each makes
//            systemd look (ConditionPathExists=), whoever asks for the start
//
// Both files are `key=value` lines, the first of them the version of the format.

#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "host/host.h"

namespace fleet::host {

inline constexpr char kGuardDirectory[] = "/run/fleet/guard";

struct WrittenOrder {
  std::string id;
  GuardOrder order;
};
struct GuardAnswer {
  std::string id;
  std::set<std::string> stopped;
  bool operator==(const GuardAnswer&) const = default;
};

// INVALID_ARGUMENT for a unit name with a line break.
absl::StatusOr<std::string> WriteOrder(const WrittenOrder& order);
absl::StatusOr<WrittenOrder> ReadOrder(std::string_view text);
std::string WriteAnswer(const GuardAnswer& answer);
absl::StatusOr<GuardAnswer> ReadAnswer(std::string_view text);

std::string OrderPath(const std::string& directory);
std::string AnswerPath(const std::string& directory);
std::string GatePath(const std::string& directory);

// Replaces the file at `path`, in `directory`, as a whole.
absl::Status ReplaceFile(const std::string& directory, const std::string& path,
                         std::string_view text);
// NOT_FOUND if there is none.
absl::StatusOr<std::string> ReadGuardFile(const std::string& path);

}  // namespace fleet::host
