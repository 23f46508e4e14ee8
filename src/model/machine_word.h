#pragma once

// Which machine a user means by a word: the one of that id; or else the one whose id begins so or
// whose host name it is, if that is one machine alone. Pure.

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "model/cluster_view.h"

namespace fleet {

class MachineWord {
 public:
  explicit MachineWord(std::string word) : word_(std::move(word)) {}

  // A machine that may be meant; it may be named more than once. `hostname`: empty if it is not
  // known, or is not to count.
  void Consider(std::string_view id, std::string_view hostname = {});

  // NOT_FOUND; INVALID_ARGUMENT, naming them, if it may be several.
  absl::StatusOr<std::string> Find() const;

 private:
  std::string word_;
  bool is_id_ = false;
  std::set<std::string, std::less<>> found_;
};

// Whether it is a whole id: 32 lower-case hex digits, as of /etc/machine-id.
bool IsMachineId(std::string_view word);

// The machine that is meant, among those that are there.
absl::StatusOr<std::string> FindPresentMachine(const ClusterView& view, const std::string& word);

// The same among those, too, that are away and have something assigned or settings: settings last.
// A host name is known of those that are there only.
absl::StatusOr<std::string> FindKnownMachine(const ClusterView& view, const std::string& word);

}  // namespace fleet
