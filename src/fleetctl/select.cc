#include "fleetctl/select.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/glob.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

// More names than this are read in one answer instead of one by one.
constexpr size_t kFewNames = 8;

using UnitMap = std::map<std::string, client::Unit>;

absl::StatusOr<UnitMap> GetEach(client::ApiClient& api, const std::set<std::string>& names) {
  UnitMap units;
  for (const std::string& name : names) {
    auto unit = api.GetUnit(name);
    if (absl::IsNotFound(unit.status())) continue;
    RETURN_IF_ERROR(unit.status());
    units[name] = *std::move(unit);
  }
  return units;
}

// A watch begins with the present units, filtered by the server: no list of the whole cluster.
absl::StatusOr<UnitMap> ReadSnapshot(client::ApiClient& api, const std::set<std::string>& names,
                                     const std::vector<std::string>& globs) {
  ASSIGN_OR_RETURN(
      const auto stream,
      api.Watch({.units = true, .names = {names.begin(), names.end()}, .globs = globs}));
  UnitMap units;
  for (;;) {
    ASSIGN_OR_RETURN(auto event, stream->Next(client::MonotonicNow() + absl::Seconds(30)));
    if (!event) return absl::DeadlineExceededError("reading the units took more than 30 s");
    if (event->kind == client::WatchEvent::Kind::kSync) return units;
    if (event->kind == client::WatchEvent::Kind::kUnit) {
      std::string name = event->unit.name;
      units[std::move(name)] = std::move(event->unit);
    }
  }
}

}  // namespace

std::string NameFrom(const std::string& word) {
  return IsGlob(word) ? word : WithDefaultSuffix(word);
}

bool IsTemplate(const std::string& name) {
  const auto parsed = UnitName::Parse(name);
  return parsed.ok() && parsed->is_template();
}

absl::StatusOr<Selection> SelectUnits(client::ApiClient& api, const std::vector<std::string>& words,
                                      bool templates) {
  std::set<std::string> names;
  std::vector<std::string> globs;
  for (const std::string& word : words) {
    const std::string name = NameFrom(word);
    if (!IsGlob(name)) {
      names.insert(name);
      continue;
    }
    if (const absl::Status status = CheckGlob(name); !status.ok())
      return UsageError(MessageOf(status));
    globs.push_back(name);
  }
  const bool few = globs.empty() && names.size() <= kFewNames;
  ASSIGN_OR_RETURN(const UnitMap found,
                   few ? GetEach(api, names) : ReadSnapshot(api, names, globs));
  Selection selection;
  std::set<std::string> taken;
  const auto take = [&](const UnitMap::value_type& entry) {
    if (taken.insert(entry.first).second) selection.units.push_back(entry.second);
  };
  for (const std::string& word : words) {
    const std::string name = NameFrom(word);
    if (!IsGlob(name)) {
      const auto it = found.find(name);
      if (it != found.end()) {
        take(*it);
      } else if (taken.insert(name).second) {
        selection.missing.push_back(name);
      }
      continue;
    }
    bool any = false;
    for (const auto& entry : found) {
      if (!GlobMatches(name, entry.first) || (!templates && IsTemplate(entry.first))) continue;
      any = true;
      take(entry);
    }
    if (!any) selection.missing.push_back(name);
  }
  return selection;
}

absl::Status NoSuchUnit(const std::string& name) {
  return absl::NotFoundError(
      Cat("unit ", name, " not found: ",
          IsGlob(name) ? "no registered unit matches it" : "the registry does not have it"));
}

absl::StatusOr<client::Unit> SelectUnit(client::ApiClient& api, const std::string& word) {
  ASSIGN_OR_RETURN(Selection selection, SelectUnits(api, {word}));
  if (selection.units.size() == 1) return std::move(selection.units[0]);
  if (selection.units.empty()) return NoSuchUnit(NameFrom(word));
  std::vector<std::string> names;
  names.reserve(selection.units.size());
  for (const client::Unit& unit : selection.units) names.push_back(unit.name);
  return absl::FailedPreconditionError(
      Cat("several units match ", word, ": ", Join(names, ", "), "; name one of them"));
}

}  // namespace fleet::fleetctl
