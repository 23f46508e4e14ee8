#pragma once

// A backup as docs/backup.md describes it: what GET /backup answers and what backup files hold.
// Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::fleetctl {

struct BackupUnit {
  std::string name;
  std::string desired_state;                       // "inactive", "loaded" or "launched"
  std::string content;                             // the text, byte for byte
  std::optional<int64_t> replicas = std::nullopt;  // of a template: what a scale has asked for
  bool made_by_replicas = false;                   // of an instance

  bool operator==(const BackupUnit&) const = default;
};

// What was set at run time of one machine, present or not.
struct BackupMachine {
  std::string id;
  std::map<std::string, std::string> metadata;  // set
  std::set<std::string> removed_metadata;       // hidden, though the configuration may have it
  bool cordoned = false;
  bool drained = false;

  bool operator==(const BackupMachine&) const = default;
};

// A text that a unit or template has had.
struct BackupText {
  std::string content;
  std::string since;  // RFC 3339; empty if that is not known
  std::string how;    // "submit", "update", "undo", "roll-back"

  bool operator==(const BackupText&) const = default;
};

struct BackupHistory {
  std::string name;
  std::vector<BackupText> texts;  // the latest first

  bool operator==(const BackupHistory&) const = default;
};

struct BackupDocument {
  std::string created;  // when, RFC 3339
  std::string fleet_version;
  int64_t revision = 0;  // of the registry it was read from
  std::vector<BackupUnit> units;
  std::vector<BackupMachine> machines;
  std::vector<BackupHistory> rollouts;
  // Records of the registry that could not be read, so that this is not all of it.
  std::vector<std::string> unreadable;

  bool operator==(const BackupDocument&) const = default;
};

// INVALID_ARGUMENT, beginning with `origin` ("nightly.json"): not JSON, not a backup, one of a
// newer version, members that are missing, unknown or of another type, a name twice, a name,
// desired state or text that no unit can have.
absl::StatusOr<BackupDocument> ParseBackup(const std::string& text, std::string_view origin);

// A history as PUT /rollouts/NAME takes it.
std::string FormatHistory(const BackupHistory& history);

// Indented JSON in a fixed order, ending in a newline. ParseBackup() reads the same back.
std::string FormatBackup(const BackupDocument& document);

}  // namespace fleet::fleetctl
