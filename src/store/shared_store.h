#pragma once

// One store for several loops. The callbacks of a handle run on its own executor; destroying the
// handle drops those that wait.

#include <memory>

#include "base/executor.h"
#include "store/store.h"

namespace fleet::store {

// A handle on `store`, to be used in the thread of `executor` only. Any thread may call it.
//
// Stores that can (Store::Bind; those of this folder do) are used directly: the loops do not wait
// for each other. Otherwise each call hops to `home`, the executor that `store` was made with, and
// its answer back; then `home` and `executor` must outlive the handle, and `store` is destroyed in
// `home`'s thread.
std::unique_ptr<Store> BindStore(std::shared_ptr<Store> store, Executor* home, Executor* executor);

}  // namespace fleet::store
