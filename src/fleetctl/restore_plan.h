#pragma once

// What `restore` has to do: a backup against what the registry has. Pure.

#include <optional>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "fleetctl/backup_document.h"

namespace fleet::fleetctl {

struct UnitStep {
  enum class Kind {
    kRestore,      // `change` has to be made
    kThere,        // the registry has that text and that desired state
    kTextDiffers,  // it has another text, which stays
    kStateHigher,  // it has that text in a higher desired state, which stays
  };
  Kind kind = Kind::kRestore;
  std::string name;
  std::string desired_state;     // of the backup
  std::string registered_state;  // empty: not registered
  bool text_differs = false;     // from the registered one
  bool global = false;
  std::string warning;        // of unknown [X-Fleet] keys, which are restored too
  client::UnitChange change;  // of kRestore
};

struct MachineStep {
  struct Kept {
    std::string key;
    std::string registered;  // "is b", "is removed"
    std::string wanted;
  };
  std::string id;
  std::vector<client::MetadataChange> changes;  // none: nothing to do
  std::vector<Kept> kept;                       // what the registry has otherwise, which stays
  // It is to be closed. Nothing opens a machine again.
  bool cordons = false;
  bool drains = false;
};

// How many instances of a template are kept; told once all units are there.
struct ReplicasStep {
  std::string name;
  std::optional<int64_t> wanted;      // nullopt: none, what its text says counts
  std::optional<int64_t> registered;  // another number, which stays
};

struct RestorePlan {
  std::vector<MachineStep> machines;
  std::vector<ReplicasStep> replicas;
  std::vector<BackupHistory> rollouts;  // of names for which the registry has none
  // A unit stands behind those that it follows (MachineOf=); apart from that as in the backup.
  std::vector<UnitStep> units;
};

// Units and metadata keys that only the registry has are left alone. With `replace` those that
// both have become as they are in the backup; without it only a desired state is raised, of a unit
// with the same text.
RestorePlan MakeRestorePlan(const BackupDocument& backup, const BackupDocument& registry,
                            bool replace);

}  // namespace fleet::fleetctl
