#include "fleetctl/top_screen.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>
#include <utility>

#include "client/text.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

constexpr size_t kChangesKept = 100;
constexpr size_t kFewestRows = 10;
constexpr size_t kFewestColumns = 40;

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// Exactly `width` columns: cut, or filled up. What would move the cursor becomes a blank.
std::string Fit(std::string_view text, size_t width) {
  std::string fitted;
  size_t used = 0;
  for (const char c : text) {
    if (BeginsCharacter(c) && used++ == width) break;
    fitted += std::iscntrl(static_cast<unsigned char>(c)) != 0 ? ' ' : c;
  }
  if (used < width) fitted.append(width - used, ' ');
  return fitted;
}

struct Column {
  std::string_view title;
  size_t width;  // 0: what is left
};

std::string Line(const std::vector<Column>& columns, const std::vector<std::string>& cells,
                 size_t width) {
  size_t taken = columns.size() - 1;  // the blanks between them
  for (const Column& column : columns) taken += column.width;
  const size_t left = width - std::min(width, taken);
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line += ' ';
    line += Fit(cells[i].empty() ? "-" : cells[i], columns[i].width == 0 ? left : columns[i].width);
  }
  return Fit(line, width);
}

std::string Styled(const std::string& line, std::string_view style, bool colour) {
  return colour ? Cat("\033[", style, "m", line, "\033[0m") : line;
}

// What needs a look comes first.
enum Order : int { kFailedUnit, kWaitingUnit, kDriftedUnit, kPendingUnit, kGoodUnit };

struct UnitRow {
  Order order = kFailedUnit;
  std::string unit;
  std::string machine;
  std::string active;
  std::string sub;
  std::string note;
};

Order OrderOf(const client::UnitOnMachine& status) {
  if (status.progress == "failed" || status.active_state == "failed") return kFailedUnit;
  if (status.progress == "waiting") return kWaitingUnit;
  if (!status.drift.empty()) return kDriftedUnit;
  return status.progress == "pending" ? kPendingUnit : kGoodUnit;
}

std::vector<UnitRow> UnitRows(const ClusterPicture& picture, bool troubled_only) {
  std::vector<UnitRow> rows;
  const auto add = [&](const client::Unit& unit, const client::UnitOnMachine& status,
                       const std::string& machine) {
    const Order order = OrderOf(status);
    if (troubled_only && order == kGoodUnit) return;
    std::string note = WithShortIds(status.reason.empty() ? status.drift : status.reason, false);
    if (note.empty() && status.progress == "pending") note = Cat("to be ", unit.desired_state);
    rows.push_back({order, unit.name, ShortId(machine, false), status.active_state,
                    status.sub_state, std::move(note)});
  };
  for (const auto& [name, unit] : picture.units) {
    for (const client::UnitOnMachine& there : unit.machines) add(unit, there, there.machine_id);
    if (unit.machines.empty())
      add(unit, unit.status, unit.target.empty() ? unit.status.machine_id : unit.target);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const UnitRow& a, const UnitRow& b) {
    return std::tie(a.order, a.unit, a.machine) < std::tie(b.order, b.unit, b.machine);
  });
  return rows;
}

std::string Summary(const ClusterPicture& picture, const std::vector<UnitRow>& rows,
                    const std::string& clock) {
  const auto count = [&](auto is) {
    return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), is));
  };
  std::string text =
      Cat("fleet ", clock, "  ", picture.machines.size(), " machines  ", picture.units.size(),
          " units: ", count([](const UnitRow& row) { return row.active == "active"; }), " active");
  constexpr std::array<std::pair<Order, std::string_view>, 4> kTroubles = {
      {{kFailedUnit, " failed"},
       {kWaitingUnit, " waiting"},
       {kDriftedUnit, " drifted"},
       {kPendingUnit, " on their way"}}};
  for (const auto& [order, word] : kTroubles) {
    const size_t n = count([order = order](const UnitRow& row) { return row.order == order; });
    if (n > 0) Append(text, ", ", n, word);
  }
  return text;
}

// How many rows each part has below its title.
struct Parts {
  size_t machines = 0;
  size_t units = 0;
  size_t changes = 0;
};

Parts Divide(size_t rows, size_t machines, size_t changes) {
  // The summary, three titles and the keys stand for themselves.
  const size_t free = rows - std::min<size_t>(rows, 5);
  Parts parts;
  parts.machines = std::min(std::max<size_t>(machines, 1), free / 3);
  parts.changes = std::min(changes, free / 3);
  parts.units = free - parts.machines - parts.changes;
  return parts;
}

}  // namespace

void ClusterPicture::Apply(const client::WatchEvent& event) {
  using Kind = client::WatchEvent::Kind;
  switch (event.kind) {
    case Kind::kUnit:
      units[event.unit.name] = event.unit;
      break;
    case Kind::kUnitRemoved:
      units.erase(event.name);
      break;
    case Kind::kMachine:
      machines[event.machine.id] = event.machine;
      break;
    case Kind::kMachineRemoved:
      machines.erase(event.machine_id);
      break;
    default:
      break;
  }
}

void ClusterPicture::Add(client::Event change) {
  changes.push_back(std::move(change));
  if (changes.size() > kChangesKept) changes.pop_front();
}

std::vector<std::string> DrawTop(const ClusterPicture& picture, const TopView& view) {
  const size_t width = view.columns;
  if (view.rows < kFewestRows || width < kFewestColumns)
    return {Fit(Cat("top needs ", kFewestColumns, "x", kFewestRows), width)};
  const std::vector<UnitRow> all = UnitRows(picture, false);
  const std::vector<UnitRow> rows = UnitRows(picture, view.troubled_only);
  const Parts parts = Divide(view.rows, picture.machines.size(), picture.changes.size());
  std::vector<std::string> lines;
  lines.push_back(Styled(
      Fit(picture.trouble.empty() ? Summary(picture, all, view.clock) : Cat("! ", picture.trouble),
          width),
      picture.trouble.empty() ? "1" : "1;31", view.colour));
  const auto title = [&](const std::vector<Column>& columns) {
    std::vector<std::string> titles;
    titles.reserve(columns.size());
    for (const Column& column : columns) titles.emplace_back(column.title);
    lines.push_back(Styled(Line(columns, titles, width), "7", view.colour));
  };

  const std::vector<Column> machine_columns = {
      {"MACHINE", 11}, {"IP", 15}, {"UNITS", 5}, {"STATE", 8}, {"METADATA", 0}};
  title(machine_columns);
  size_t shown = 0;
  for (const auto& [id, machine] : picture.machines) {
    if (shown++ == parts.machines) break;
    const size_t left = picture.machines.size() - parts.machines + 1;
    if (shown == parts.machines && left > 1) {
      lines.push_back(Fit(Cat("… and ", left, " more"), width));
      break;
    }
    lines.push_back(Line(machine_columns,
                         {ShortId(id, false), machine.primary_ip, std::to_string(machine.units),
                          machine.state, MetadataLabel(machine.metadata)},
                         width));
  }
  while (lines.size() < 2 + parts.machines) lines.push_back(Fit("", width));

  const size_t unit_width = std::clamp<size_t>(width * 3 / 10, 20, 40);
  const std::vector<Column> unit_columns = {
      {"UNIT", unit_width}, {"MACHINE", 11}, {"ACTIVE", 10}, {"SUB", 9}, {"WHY", 0}};
  title(unit_columns);
  for (size_t i = 0; i < parts.units; ++i) {
    const size_t index = view.first_unit + i;
    if (index >= rows.size()) {
      lines.push_back(Fit("", width));
      continue;
    }
    const UnitRow& row = rows[index];
    const std::string line =
        Line(unit_columns, {row.unit, row.machine, row.active, row.sub, row.note}, width);
    lines.push_back(row.order == kFailedUnit ? Styled(line, "31", view.colour)
                    : row.order < kGoodUnit  ? Styled(line, "33", view.colour)
                                             : line);
  }

  title({{"CHANGES", 0}});
  const size_t first_change = picture.changes.size() - parts.changes;
  for (size_t i = 0; i < parts.changes; ++i) {
    const client::Event& change = picture.changes[first_change + i];
    // The time of 2026-01-02T03:04:05…
    std::string text = change.time.size() >= 19 ? change.time.substr(11, 8) : change.time;
    Append(text, " ", change.kind);
    if (!change.unit.empty()) Append(text, " ", change.unit);
    if (!change.machine_id.empty()) Append(text, " ", ShortId(change.machine_id, false));
    if (!change.reason.empty()) Append(text, ": ", WithShortIds(change.reason, false));
    lines.push_back(Fit(text, width));
  }
  lines.push_back(Styled(Fit(Cat("q quit   up/down, page up/down: units   t ",
                                 view.troubled_only ? "all units" : "only units in trouble"),
                             width),
                         "2", view.colour));
  return lines;
}

size_t LastFirstUnit(const ClusterPicture& picture, const TopView& view) {
  const size_t rows = UnitRows(picture, view.troubled_only).size();
  const size_t page = Divide(view.rows, picture.machines.size(), picture.changes.size()).units;
  return rows > page ? rows - page : 0;
}

}  // namespace fleet::fleetctl
