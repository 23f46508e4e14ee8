#pragma once

// Finds unit texts that nothing refers to any more (C3). Pure; belongs to whoever leads, and starts
// anew with each reign.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "model/cluster_view.h"

namespace fleet::reconcile {

class ContentCollector {
 public:
  struct Unused {
    std::string hash;
    // Of the content as it was judged: a submit that puts the same text meanwhile changes it.
    int64_t mod_revision = 0;
    bool operator==(const Unused&) const = default;
  };

  // A text is kept this long after it was last referred to.
  static constexpr absl::Duration kKeep = absl::Minutes(10);

  // Texts that no unit, assignment, rollout or machine has referred to for kKeep, as of the calls
  // so far.
  std::vector<Unused> Collect(const ClusterView& view, absl::Time now);

 private:
  struct Since {
    absl::Time time;
    int64_t mod_revision = 0;
  };
  std::map<std::string, Since> unused_since_;
};

}  // namespace fleet::reconcile
