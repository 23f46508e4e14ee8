#pragma once

// All chance of a simulated run comes from here: one seed is one run.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "fmt/core.h"

namespace fleet::sim {

// splitmix64: small, and the same everywhere (the standard library's distributions are not).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 0x632be59bd9b4e019ULL) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, n). REQUIRES: n > 0.
  size_t Below(size_t n) { return static_cast<size_t>(Next() % n); }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<size_t>(high - low + 1)));
  }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return absl::Microseconds(
        Between(absl::ToInt64Microseconds(low), absl::ToInt64Microseconds(high)));
  }
  // In [0, 1).
  double Real() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  bool Chance(double probability) { return Real() < probability; }
  template <typename Container>
  auto& Pick(Container& container) {
    return container[Below(container.size())];
  }
  // 32 hex digits.
  std::string Id() { return fmt::format("{:016x}{:016x}", Next(), Next()); }

 private:
  uint64_t state_;
};

}  // namespace fleet::sim
