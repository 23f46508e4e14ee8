#pragma once

// What list-machines, list-units and list-unit-files share: fields, -o, filters, --watch.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// A row, ready to be printed: a cell for each field that there is, the name (-o name), the entity
// as JSON, and what the filters look at.
struct Row {
  std::vector<std::string> cells;
  std::string name;
  std::string json;
  std::string machine_id;
  std::vector<std::string> states;  // --state takes any of them
};

struct Listing {
  std::vector<std::string_view> fields;  // all there are, in the order of `-o wide`
  std::string_view default_fields;       // comma separated
  // Reads the rows, sorted, with all cells. `keep_json` if the entities are wanted.
  std::function<absl::StatusOr<std::vector<Row>>(Session&, bool full, bool keep_json)> read;
  bool units = false;  // what --watch follows
  bool states = false;
  bool machines = false;
  bool names_are_units = true;  // the arguments get the default suffix
};

std::vector<FlagSpec> ListFlags();
int RunListing(Session& session, const Listing& listing);

}  // namespace fleet::fleetctl
