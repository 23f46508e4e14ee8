#pragma once

// Domains: the machines that a kind of unit may run on as far as machines alone decide it
// (metadata, cordon), divided by the values of a key where it is to be spread or kept apart by
// them, each part with an index that gives the best of it (tournament.h).
//
// A domain follows the machine table's journal when it is asked, so that a placement costs nothing
// in domains that nobody asks.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/domain_ref.h"
#include "scheduler/machine_table.h"
#include "scheduler/scopes.h"
#include "scheduler/tournament.h"

namespace fleet::scheduler {

using Metadata = std::map<std::string, std::set<std::string>>;

class Domain {
 public:
  // Of all present machines that take newcomers and have the metadata. With the scope of a key
  // there is a part for each of its values; otherwise all are one part.
  Domain(const MachineTable* machines, const Scopes* scopes, const Metadata* metadata,
         bool by_share, ScopeId scope);

  // Makes the parts what the machine table says now. Called before them.
  void CatchUp();
  // Machines with a value of the key; those that lack the key, or all where there is no key.
  const Tournament& PartOf(size_t value) const { return parts_[value + 1]; }
  bool HasPart(size_t value) const { return value + 1 < parts_.size(); }
  const Tournament& Rest() const { return parts_[0]; }

  const Bits& members() const { return members_; }

  void MachineChanged(Slot slot);
  ScopeId scope() const { return scope_; }
  uint64_t scope_serial() const { return scope_serial_; }

 private:
  static constexpr uint32_t kOut = UINT32_MAX;
  struct Whereabouts {
    uint32_t part = kOut;
    Tournament::Position position = 0;
  };

  bool IsMember(Slot slot) const;

  const MachineTable* machines_;
  const Scopes* scopes_;
  const Metadata* metadata_;
  const bool by_share_;
  const ScopeId scope_;
  const uint64_t scope_serial_;
  std::deque<Tournament> parts_;  // the rest, then those of the values
  Bits members_;
  std::vector<Whereabouts> where_;  // by slot
  uint64_t position_ = 0;           // in the journal
  uint64_t epoch_ = 0;
};

// The domains that were asked for lately.
class Domains {
 public:
  Domains(const MachineTable* machines, const Scopes* scopes)
      : machines_(machines), scopes_(scopes) {}

  // The domain, caught up. `ref` is where the last answer for the same kind of unit is kept. The
  // reference is good until the next call.
  const Domain& Of(const Metadata& metadata, bool by_share, ScopeId scope, DomainRef& ref);

  void MachineChanged(Slot slot);

 private:
  struct Entry {
    uint64_t serial = 0;  // 0: unused
    uint64_t used = 0;
    std::string name;
    Metadata metadata;
    std::optional<Domain> domain;
  };

  Entry* Find(const DomainRef& ref, ScopeId scope);
  Entry& Add(const std::string& name, const Metadata& metadata, bool by_share, ScopeId scope,
             DomainRef& ref);
  void DropUnused();
  void Drop(Entry& entry);

  const MachineTable* machines_;
  const Scopes* scopes_;
  std::deque<Entry> entries_;
  absl::flat_hash_map<std::string, DomainRef> by_name_;
  uint64_t last_serial_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace fleet::scheduler
