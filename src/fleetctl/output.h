#pragma once

// What is printed: tables, shortened ids, JSON and YAML; and what --output may be.

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

// --output of a command that prints data: all take text and table, which are one, wide, which is
// the same where there is no more to show, json and yaml. `help` names them and what else is taken;
// the default is its first word.
FlagSpec OutputFlag(std::string_view help);

// The formats that a flag's help names: "table or text, wide (all fields), json, yaml or name".
std::vector<std::string> FormatsOf(const FlagSpec& flag);

// What people read has two names: from then on it is the flag's default, in `flags`.
void UnifyFormat(Flags& flags);

// Whether it has the entities of the API: JSON or YAML.
bool HasEntities(std::string_view format);

// UsageError, naming the formats, unless --output is one that its flag takes.
absl::Status CheckFormat(const Flags& flags);

// Prints JSON texts as `format` (json or yaml) says: a list, or the one entity.
std::string RenderEntities(const std::vector<std::string>& entities, std::string_view format,
                           bool as_list);

}  // namespace fleet::fleetctl
