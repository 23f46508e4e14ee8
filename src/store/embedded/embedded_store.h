#pragma once

// The store of a single machine: a SQLite file in this process, with etcd's semantics (store.h).
//
// What Commit acknowledged is on the disk. A thread of the store's own does all the work, so that
// no loop waits for the disk; commits that come while it waits share the next transaction. The
// lease time does not pass while the store is closed: at opening each lease has its full TTL. Only
// one process at a time can have the file open.
//
// Errors besides those of store.h: DATA_LOSS if the file is damaged. When the disk is full, commits
// fail with RESOURCE_EXHAUSTED and have no effect, reads go on, and commits work again as soon as
// there is space.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "store/store.h"

namespace fleet::store {

struct EmbeddedOptions {
  // How many revisions are kept at least, for watches and ranges in the past.
  int64_t history = 10'000;
};

// Opens `path`, or creates it (its directory must exist). FAILED_PRECONDITION if another process
// has it open, it cannot be opened, or a newer version of fleet has written it; DATA_LOSS if it is
// damaged. `executor` must outlive the store.
absl::StatusOr<std::unique_ptr<Store>> MakeEmbeddedStore(const std::string& path,
                                                         Executor* executor,
                                                         EmbeddedOptions options = {});

}  // namespace fleet::store
