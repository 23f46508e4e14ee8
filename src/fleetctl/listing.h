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
  std::vector<std::string> machine_ids;  // --machine takes any of them
  std::vector<std::string> states;       // --state
  std::string hostname = {};             // of a machine
};

// The state, for the filters, of what somebody else than fleet has changed.
inline constexpr std::string_view kDrifted = "drifted";

struct Listing {
  std::string_view name;            // of the command
  std::string_view default_fields;  // comma separated
  // Reads the rows, sorted, with all cells. `keep_json` if the entities are wanted.
  std::function<absl::StatusOr<std::vector<Row>>(Session&, bool full, bool keep_json)> read;
  bool units = false;  // what --watch follows
  bool states = false;
  bool machines = false;
  bool names_are_units = true;  // the arguments get the default suffix
};

// What the flags of a list take, comma separated.
struct ListWords {
  std::string_view list;    // the command
  std::string_view fields;  // all there are, in the order of `-o wide`
  std::string_view states;  // besides any other one that a row has
};
// Of the command of that name. Nullptr if it is no list.
const ListWords* WordsOfList(std::string_view command);

std::vector<FlagSpec> ListFlags();
int RunListing(Session& session, const Listing& listing);

}  // namespace fleet::fleetctl
