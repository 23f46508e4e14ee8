#include "fleetctl/listing.h"

#include <algorithm>

#include "base/glob.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/select.h"

namespace fleet::fleetctl {
namespace {

// Changes that come within this time after the first are drawn at once.
constexpr absl::Duration kGather = absl::Milliseconds(100);

struct View {
  std::string format;           // table, wide, json, yaml, name
  std::vector<size_t> columns;  // indexes of the listing's fields
};

absl::StatusOr<View> ViewFrom(Session& session, const Listing& listing) {
  View view{.format = session.flags().Text("output"), .columns = {}};
  RETURN_IF_ERROR(CheckFormat(session.flags(), {"table", "wide", "json", "yaml", "name"}));
  const bool given = session.flags().Given("fields");
  if (view.format == "wide" && !given) {
    for (size_t i = 0; i < listing.fields.size(); ++i) view.columns.push_back(i);
    return view;
  }
  const std::string fields =
      given ? session.flags().Text("fields") : std::string(listing.default_fields);
  for (size_t begin = 0; begin <= fields.size();) {
    const size_t end = std::min(fields.find(',', begin), fields.size());
    std::string field(Strip(std::string_view(fields).substr(begin, end - begin)));
    begin = end + 1;
    if (field == "tmachine") {
      session.err() << "WARNING: The field \"tmachine\" is deprecated, use \"target\".\n";
      field = "target";
    }
    const auto it = std::find(listing.fields.begin(), listing.fields.end(), field);
    if (it == listing.fields.end())
      return absl::InvalidArgumentError(Cat("Invalid key in output format: \"", field, "\""));
    view.columns.push_back(static_cast<size_t>(it - listing.fields.begin()));
  }
  return view;
}

bool Matches(Session& session, const Listing& listing, const Row& row) {
  const std::string machine = session.flags().Text("machine");
  if (!machine.empty() && !row.machine_id.starts_with(machine)) return false;
  const auto states = SplitList(session.flags().Text("state"), ',');
  if (!states.empty() && std::none_of(states.begin(), states.end(), [&](const std::string& state) {
        return std::find(row.states.begin(), row.states.end(), state) != row.states.end();
      })) {
    return false;
  }
  if (session.arguments().empty()) return true;
  return std::any_of(
      session.arguments().begin(), session.arguments().end(), [&](const std::string& word) {
        if (IsGlob(word)) return GlobMatches(word, row.name);
        return listing.names_are_units ? NameFrom(word) == row.name : row.name.starts_with(word);
      });
}

std::string Render(Session& session, const Listing& listing, const View& view,
                   const std::vector<Row>& rows) {
  std::string text;
  if (view.format == "name") {
    for (const Row& row : rows) {
      // A unit is listed once for each machine it is on.
      const std::string line = row.name + "\n";
      if (!text.ends_with("\n" + line) && text != line) text += line;
    }
    return text;
  }
  if (view.format == "json" || view.format == "yaml") {
    std::vector<std::string> entities;
    entities.reserve(rows.size());
    for (const Row& row : rows) entities.push_back(row.json);
    return RenderEntities(entities, view.format, true);
  }
  std::vector<std::string> header;
  if (!session.flags().On("no-legend")) {
    for (const size_t column : view.columns) header.push_back(ToUpper(listing.fields[column]));
  }
  Table table(std::move(header));
  for (const Row& row : rows) {
    std::vector<std::string> cells;
    cells.reserve(view.columns.size());
    for (const size_t column : view.columns) cells.push_back(row.cells[column]);
    table.Add(std::move(cells));
  }
  return table.Render();
}

absl::Status Draw(Session& session, const Listing& listing, const View& view) {
  const bool entities = view.format == "json" || view.format == "yaml";
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   listing.read(session, session.flags().On("full"), entities));
  std::erase_if(rows, [&](const Row& row) { return !Matches(session, listing, row); });
  session.out() << Render(session, listing, view, rows);
  session.out().flush();
  return absl::OkStatus();
}

// Draws the table anew whenever something in it may have changed, until interrupted.
absl::Status WatchAndDraw(Session& session, const Listing& listing, const View& view) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto stream, session.api().Watch({.units = listing.units,
                                                             .states = listing.states,
                                                             .machines = listing.machines}));
    bool synced = false;
    bool dirty = false;
    absl::Time deadline = absl::InfiniteFuture();
    for (;;) {
      auto event = stream->Next(deadline);
      if (absl::IsUnavailable(event.status())) break;
      RETURN_IF_ERROR(event.status());
      if (*event) {
        synced = synced || (*event)->kind == client::WatchEvent::Kind::kSync;
        if (!synced || dirty) continue;
        dirty = true;
        deadline = client::MonotonicNow() + kGather;
        continue;
      }
      dirty = false;
      deadline = absl::InfiniteFuture();
      if (session.environment().terminal) session.out() << "\033[H\033[2J\033[3J";
      RETURN_IF_ERROR(Draw(session, listing, view));
      if (!session.environment().terminal) session.out() << "\n";
      if (!session.out()) return absl::OkStatus();
    }
  }
}

}  // namespace

std::vector<FlagSpec> ListFlags() {
  return {
      {"fields", 0, "FIELD[,FIELD…]", "", "columns to print"},
      {"full", 'l', "", "", "do not shorten ids and hashes"},
      {"no-legend", 0, "", "", "no header line"},
      {"output", 'o', "FORMAT", "table", "table, wide (all fields), json, yaml or name"},
      {"machine", 0, "ID", "", "only what is on the machine whose id begins so"},
      {"state", 0, "STATE[,STATE…]", "", "only what is in one of these states"},
      {"watch", 0, "", "", "print again whenever something changes"},
  };
}

int RunListing(Session& session, const Listing& listing) {
  const auto view = ViewFrom(session, listing);
  if (!view.ok()) {
    if (ExitCodeOf(view.status()) == kUsage) return session.Fail(view.status());
    session.err() << MessageOf(view.status()) << "\n";
    return kFailed;
  }
  const absl::Status status = session.flags().On("watch") ? WatchAndDraw(session, listing, *view)
                                                          : Draw(session, listing, *view);
  return status.ok() ? kDone : session.Fail(status);
}

}  // namespace fleet::fleetctl
