#pragma once

// Unit texts on this machine's disk by their hash, so that each is fetched once. A cache only: what
// cannot be written is fetched again, and what was damaged is not used.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "model/unit_file.h"

namespace fleet::agent {

class ContentCache {
 public:
  explicit ContentCache(std::string directory);

  // nullptr if it is not there or does not hash to its name.
  std::shared_ptr<const UnitFile> Find(const std::string& hash) const;
  void Store(const UnitFile& file);
  // Removes all but these (C3).
  void KeepOnly(const std::set<std::string>& hashes);

 private:
  std::string directory_;
};

}  // namespace fleet::agent
