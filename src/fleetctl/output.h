#pragma once

// What is printed: tables, shortened ids, JSON and YAML; and what --output may be.

#include <initializer_list>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "fleetctl/flags.h"
#include "nlohmann/json_fwd.hpp"

namespace fleet::fleetctl {

// Rows of cells, each column as wide as its widest cell and followed by one tab character, so that
// people, awk and cut can read it. An empty cell is printed as "-".
class Table {
 public:
  // No header line if `header` is empty.
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string Render() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// The first 8 characters and "...", or all of it if `full` or not longer.
std::string ShortId(std::string_view id, bool full);
// `text` with each machine id in it shortened so, unless `full`.
std::string WithShortIds(std::string_view text, bool full);
// The first 7 characters, or all.
std::string ShortHash(std::string_view hash, bool full);
// "ID/IP"; without the slash where the address is not known.
std::string MachineLabel(std::string_view id, std::string_view ip, bool full);
// "k=v,k=v", sorted by key.
std::string MetadataLabel(const std::map<std::string, std::string>& metadata);

// UsageError, naming the formats, unless --output is one of them.
absl::Status CheckFormat(const Flags& flags, std::initializer_list<std::string_view> formats);

// Prints JSON texts as `format` (json or yaml) says: a list, or the one entity.
std::string RenderEntities(const std::vector<std::string>& entities, std::string_view format,
                           bool as_list);

}  // namespace fleet::fleetctl
