#include "fleetctl/listing.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "base/glob.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/loss_notice.h"
#include "fleetctl/output.h"
#include "fleetctl/remote.h"
#include "fleetctl/select.h"
#include "model/machine_word.h"

namespace fleet::fleetctl {
namespace {

// Changes that come within this time after the first are drawn at once.
constexpr absl::Duration kGather = absl::Milliseconds(100);
// And at least so many times as long as it takes to read all of it.
constexpr int kRest = 5;
// Before an API that has gone away is asked again.
constexpr absl::Duration kBeforeAgain = absl::Seconds(1);

constexpr std::array<ListWords, 3> kLists = {
    {{.list = "list-machines",
      .fields = "machine,ip,metadata,hostname,state,units,version,lock",
      .states = "ready,cordoned,draining,drained,drain-expired,leaving,absent,locked,lock-waits"},
     {.list = "list-unit-files",
      .fields = "unit,hash,desc,dstate,state,target,global,replicas,reason",
      .states = "inactive,loaded,launched,drifted"},
     {.list = "list-units",
      .fields = "unit,machine,load,active,sub,hash,drift",
      // systemd's load, active and sub states of any type of unit, and kDrifted.
      .states =
          "loaded,not-found,bad-setting,error,merged,masked,active,reloading,inactive,failed,"
          "activating,deactivating,maintenance,refreshing,running,exited,dead,listening,waiting,"
          "elapsed,mounted,condition,start-pre,start,start-post,start-chown,reload,reload-signal,"
          "reload-notify,stop,stop-watchdog,stop-sigterm,stop-sigkill,stop-post,stop-pre,stop-pre-"
          "sigterm,stop-pre-sigkill,final-watchdog,final-sigterm,final-sigkill,auto-restart,auto-"
          "restart-queued,dead-before-auto-restart,failed-before-auto-restart,dead-resources-"
          "pinned,cleaning,mounting,mounting-done,remounting,remounting-sigterm,remounting-sigkill,"
          "unmounting,unmounting-sigterm,unmounting-sigkill,activating-done,deactivating-sigterm,"
          "deactivating-sigkill,tentative,plugged,abandoned,drifted"}}};

struct View {
  std::string format;               // table, wide, json, yaml, name
  std::vector<std::string> fields;  // of the listing, all there are
  std::vector<size_t> columns;      // indexes of them
  std::vector<std::string> states;  // any of them, if there are some
  std::string machine;              // the id of the only one that counts, if it is not empty
  absl::Status unless_seen;         // the error, if no row is on that machine
};

absl::Status FindMachineFilter(Session& session, View& view) {
  const std::string word = session.flags().Text("machine");
  if (word.empty()) return absl::OkStatus();
  auto machine = FindListedMachine(session, word);
  if (absl::IsNotFound(machine.status()) && IsMachineId(word)) {
    view.unless_seen = machine.status();
    machine = word;
  }
  RETURN_IF_ERROR(machine.status());
  view.machine = *std::move(machine);
  return absl::OkStatus();
}

absl::StatusOr<View> ViewFrom(Session& session, const Listing& listing) {
  View view{.format = session.flags().Text("output"),
            .fields = SplitList(WordsOfList(listing.name)->fields, ','),
            .states = SplitList(session.flags().Text("state"), ',')};
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  const bool given = session.flags().Given("fields");
  if (view.format == "wide" && !given) {
    for (size_t i = 0; i < view.fields.size(); ++i) view.columns.push_back(i);
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
    const auto it = std::find(view.fields.begin(), view.fields.end(), field);
    if (it == view.fields.end())
      return absl::InvalidArgumentError(Cat("Invalid key in output format: \"", field, "\""));
    view.columns.push_back(static_cast<size_t>(it - view.fields.begin()));
  }
  return view;
}

bool Has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsMeant(const Listing& listing, const std::string& word, const Row& row) {
  if (listing.names_are_units)
    return IsGlob(word) ? GlobMatches(word, row.name) : NameFrom(word) == row.name;
  if (IsGlob(word)) return GlobMatches(word, row.name) || GlobMatches(word, row.hostname);
  return row.name.starts_with(word) || row.hostname == word;
}

bool Matches(Session& session, const Listing& listing, const View& view, const Row& row) {
  if (!view.machine.empty() && !Has(row.machine_ids, view.machine)) return false;
  if (!view.states.empty() &&
      std::none_of(view.states.begin(), view.states.end(),
                   [&](const std::string& state) { return Has(row.states, state); })) {
    return false;
  }
  const std::vector<std::string>& words = session.arguments();
  return words.empty() || std::any_of(words.begin(), words.end(), [&](const std::string& word) {
           return IsMeant(listing, word, row);
         });
}

// UsageError for a state that there is not. A newer systemd may have some that are not known here.
absl::Status CheckStates(const Listing& listing, const View& view, const std::vector<Row>& rows) {
  const std::vector<std::string> known = SplitList(WordsOfList(listing.name)->states, ',');
  for (const std::string& state : view.states) {
    if (Has(known, state) || std::any_of(rows.begin(), rows.end(),
                                         [&](const Row& row) { return Has(row.states, state); })) {
      continue;
    }
    return UsageError(Cat("there is no state \"", state, "\": --state takes ", Join(known, ", ")));
  }
  return absl::OkStatus();
}

// NOT_FOUND if a filter names a machine that there is not: an empty table would say that there is
// nothing on it.
absl::Status CheckMachines(Session& session, const Listing& listing, const View& view,
                           const std::vector<Row>& rows) {
  const auto away = [](const std::string& word) {
    return absl::NotFoundError(Cat("machine ", word, " is away: --absent lists it"));
  };
  const bool is_seen = std::any_of(
      rows.begin(), rows.end(), [&](const Row& row) { return Has(row.machine_ids, view.machine); });
  if (!is_seen) RETURN_IF_ERROR(view.unless_seen);
  if (listing.names_are_units) return absl::OkStatus();
  if (!is_seen && !view.machine.empty()) return away(session.flags().Text("machine"));
  for (const std::string& word : session.arguments()) {
    if (IsGlob(word) || std::any_of(rows.begin(), rows.end(),
                                    [&](const Row& row) { return IsMeant(listing, word, row); })) {
      continue;
    }
    RETURN_IF_ERROR(FindListedMachine(session, word).status());
    return away(word);
  }
  return absl::OkStatus();
}

std::string Render(Session& session, const View& view, const std::vector<Row>& rows) {
  std::string text;
  if (view.format == "name") {
    for (const Row& row : rows) {
      // A unit is listed once for each machine it is on.
      const std::string line = row.name + "\n";
      if (!text.ends_with("\n" + line) && text != line) text += line;
    }
    return text;
  }
  if (HasEntities(view.format)) {
    std::vector<std::string> entities;
    entities.reserve(rows.size());
    for (const Row& row : rows) entities.push_back(row.json);
    return RenderEntities(entities, view.format, true);
  }
  std::vector<std::string> header;
  if (!session.flags().On("no-legend")) {
    for (const size_t column : view.columns) header.push_back(ToUpper(view.fields[column]));
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

struct Drawn {
  std::string text;
  absl::Status machines;  // as CheckMachines() has it
};

// `check` the filters: what is drawn anew has been checked, and may be empty now.
absl::StatusOr<Drawn> Draw(Session& session, const Listing& listing, const View& view, bool check) {
  const bool entities = HasEntities(view.format);
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   listing.read(session, session.flags().On("full"), entities));
  Drawn drawn;
  if (check) {
    RETURN_IF_ERROR(CheckStates(listing, view, rows));
    drawn.machines = CheckMachines(session, listing, view, rows);
  }
  std::erase_if(rows, [&](const Row& row) { return !Matches(session, listing, view, row); });
  if (drawn.machines.ok() || !rows.empty()) drawn.text = Render(session, view, rows);
  return drawn;
}

absl::Status PrintOnce(Session& session, const Listing& listing, const View& view) {
  ASSIGN_OR_RETURN(const Drawn drawn, Draw(session, listing, view, /*check=*/true));
  session.out() << drawn.text << std::flush;
  return drawn.machines;
}

// Prints the table anew whenever something in it has changed, until interrupted.
class Watcher {
 public:
  Watcher(Session& session, const Listing& listing, const View& view)
      : session_(session),
        listing_(listing),
        view_(view),
        notice_(
            [&session](std::string_view text) { session.err() << "Notice: " << text << "\n"; }) {
    options_ = {.units = listing.units, .states = listing.states, .machines = listing.machines};
    if (!listing.names_are_units) return;
    for (const std::string& word : session.arguments()) {
      if (IsGlob(word)) {
        options_.globs.push_back(word);
      } else {
        options_.names.push_back(NameFrom(word));
      }
    }
  }

  // An API that goes away once there is a table comes back.
  absl::Status Run() {
    for (;;) {
      absl::Status ended = Follow();
      if (!IsAway(ended) || !is_checked_) return ended;
      notice_.Lost("connection", ended);
      // The notice stands where the table ends.
      if (session_.environment().terminal) shown_.reset();
      absl::SleepFor(kBeforeAgain);
    }
  }

 private:
  // OK if the output has gone.
  absl::Status Follow() {
    ASSIGN_OR_RETURN(const auto stream, session_.api().Watch(options_));
    bool synced = false;
    bool dirty = false;
    absl::Time deadline = absl::InfiniteFuture();
    for (;;) {
      const auto event = stream->Next(deadline);
      if (event.ok() && *event) {
        synced = synced || (*event)->kind == client::WatchEvent::Kind::kSync;
        if (!synced || std::exchange(dirty, true)) continue;
        // Not reading all the time, either, where that takes long.
        deadline = client::MonotonicNow() + std::max(kGather, kRest * reading_);
        continue;
      }
      if (std::exchange(dirty, false)) RETURN_IF_ERROR(Print());
      RETURN_IF_ERROR(event.status());
      deadline = absl::InfiniteFuture();
      if (!session_.out()) return absl::OkStatus();
    }
  }

  absl::Status Print() {
    const absl::Time begun = client::MonotonicNow();
    ASSIGN_OR_RETURN(const Drawn drawn, Draw(session_, listing_, view_, !is_checked_));
    reading_ = client::MonotonicNow() - begun;
    notice_.Back();
    if (shown_ != drawn.text) {
      const bool terminal = session_.environment().terminal;
      session_.out() << (terminal ? "\033[H\033[2J\033[3J" : "") << drawn.text
                     << (terminal ? "" : "\n") << std::flush;
      shown_ = drawn.text;
    }
    is_checked_ = true;
    return drawn.machines;
  }

  Session& session_;
  const Listing& listing_;
  const View& view_;
  client::WatchOptions options_;
  LossNotice notice_;
  bool is_checked_ = false;           // a first table has been printed
  std::optional<std::string> shown_;  // what is to be seen
  absl::Duration reading_;            // how long that took
};

}  // namespace

const ListWords* WordsOfList(std::string_view command) {
  const auto* const found = std::find_if(
      kLists.begin(), kLists.end(), [&](const ListWords& words) { return words.list == command; });
  return found == kLists.end() ? nullptr : found;
}

std::vector<FlagSpec> ListFlags() {
  return {
      {"fields", 0, "FIELD[,FIELD…]", "", "columns to print"},
      {"full", 'l', "", "", "do not shorten ids and hashes"},
      {"no-legend", 0, "", "", "no header line"},
      OutputFlag("table or text, wide (all fields), json, yaml or name"),
      {"machine", 0, "MACHINE", "", "only what is on this machine: its id, a beginning, host name"},
      {"state", 0, "STATE[,STATE…]", "", "only what is in one of these states"},
      {"watch", 0, "", "", "print again whenever something changes"},
  };
}

int RunListing(Session& session, const Listing& listing) {
  auto view = ViewFrom(session, listing);
  if (!view.ok()) {
    if (ExitCodeOf(view.status()) == kUsage) return session.Fail(view.status());
    session.err() << MessageOf(view.status()) << "\n";
    return kFailed;
  }
  if (const absl::Status status = FindMachineFilter(session, *view); !status.ok())
    return session.Fail(status);
  const absl::Status status = session.flags().On("watch") ? Watcher(session, listing, *view).Run()
                                                          : PrintOnce(session, listing, *view);
  return status.ok() ? kDone : session.Fail(status);
}

}  // namespace fleet::fleetctl
