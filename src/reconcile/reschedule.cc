#include "reconcile/reschedule.h"

#include <algorithm>

namespace fleet::reconcile {

namespace {

constexpr absl::Duration kFirst = absl::Seconds(1);
constexpr absl::Duration kLongest = absl::Minutes(5);

}  // namespace

absl::Duration BackoffOf(const UnitRecord& record) {
  absl::Duration wait = kFirst;
  for (const FailedPlace& place : record.failed_on) {
    for (int64_t i = 0; i < place.count && wait < kLongest; ++i) wait *= 2;
  }
  return std::min(wait, kLongest);
}

UnitRecord WithFailure(UnitRecord record, const std::string& machine, int64_t revision) {
  auto& places = record.failed_on;
  const auto known = std::find_if(places.begin(), places.end(), [&](const FailedPlace& place) {
    return place.machine == machine;
  });
  if (known != places.end()) {
    known->revision = revision;
    ++known->count;
    return record;
  }
  if (places.size() >= kMaxFailedPlaces) {
    places.erase(std::min_element(places.begin(), places.end(), [](const auto& a, const auto& b) {
      return a.revision < b.revision;
    }));
  }
  places.push_back({machine, revision, 1});
  return record;
}

int64_t FailedAt(const UnitRecord& record, const std::string& machine) {
  for (const FailedPlace& place : record.failed_on) {
    if (place.machine == machine) return place.revision;
  }
  return 0;
}

}  // namespace fleet::reconcile
