#pragma once

// What the engine decides, about one unit or several at once: writes that belong together, the
// facts they rest on, and the events that say why. The engine's shell turns decisions into fenced
// transactions; one decision is never divided.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/records.h"

namespace fleet::reconcile {

// A fact that must still hold when the decision is committed (S5).
struct Guard {
  enum class Kind {
    kUnit,           // mod revision of units/<unit>
    kSettings,       // mod revision of settings/<machine>
    kMachine,        // create revision of machines/<machine>
    kMachineRecord,  // its mod revision
    kAssignment,     // mod revision of assignments/<machine>/<unit>
    kState,          // mod revision of states/<machine>/<unit>
    kContent,        // create revision of contents/<unit>
    kRollout,        // mod revision of rollouts/<unit>
    kCluster,        // mod revision of cluster/<unit>
  };
  Kind kind = Kind::kUnit;
  std::string unit;
  std::string machine;
  int64_t revision = 0;  // 0: absent

  bool operator==(const Guard&) const = default;
};

struct PutAssignment {
  std::string unit;
  std::string machine;
  Assignment assignment;
  bool operator==(const PutAssignment&) const = default;
};
struct DeleteAssignment {
  std::string unit;
  std::string machine;
  bool operator==(const DeleteAssignment&) const = default;
};
struct PutUnit {
  std::string unit;
  UnitRecord record;
  bool operator==(const PutUnit&) const = default;
};
struct DeleteUnit {
  std::string unit;
  bool operator==(const DeleteUnit&) const = default;
};
// nullopt: it is deleted.
struct PutRollout {
  std::string unit;
  std::optional<RolloutRecord> record;
  bool operator==(const PutRollout&) const = default;
};
// Settings that say nothing are deleted.
struct PutSettings {
  std::string machine;
  MachineSettings settings;
  bool operator==(const PutSettings&) const = default;
};
// nullopt: it is deleted.
struct PutHold {
  std::optional<HoldRecord> record;
  bool operator==(const PutHold&) const = default;
};
struct PutFeatures {
  FeaturesRecord record;
  bool operator==(const PutFeatures&) const = default;
};
using Write = std::variant<PutAssignment, DeleteAssignment, PutUnit, DeleteUnit, PutRollout,
                           PutSettings, PutHold, PutFeatures>;

struct Decision {
  uint64_t id = 0;
  // That it writes, each once, never empty. A record that is no unit's stands under its key
  // ("cluster/hold"), which no unit has for its name.
  std::vector<std::string> units;
  std::vector<Guard> guards;  // each once
  std::vector<Write> writes;
  std::vector<EventEntry> events;  // never empty
};

}  // namespace fleet::reconcile
