#pragma once

// Unit texts by their hash, on this machine's disk so that each is fetched once. A cache only: what
// cannot be written is fetched again, and what was damaged is not used.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "model/unit_file.h"

namespace fleet::agent {

class ContentCache {
 public:
  virtual ~ContentCache() = default;
  // nullptr if it is not there or does not hash to its name.
  virtual std::shared_ptr<const UnitFile> Find(const std::string& hash) const = 0;
  virtual void Store(const UnitFile& file) = 0;
  // Removes all but these (C3).
  virtual void KeepOnly(const std::set<std::string>& hashes) = 0;
};

class DiskContentCache final : public ContentCache {
 public:
  explicit DiskContentCache(std::string directory);

  std::shared_ptr<const UnitFile> Find(const std::string& hash) const override;
  void Store(const UnitFile& file) override;
  void KeepOnly(const std::set<std::string>& hashes) override;

 private:
  std::string directory_;
};

}  // namespace fleet::agent
