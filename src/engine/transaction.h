#pragma once

// Decisions as fenced store transactions (S5). Pure.

#include <string>
#include <vector>

#include "reconcile/decision.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::engine {

// What every transaction of this engine carries.
struct Fence {
  int64_t leader_revision = 0;  // mod revision of `leader` under which this engine leads
};

// The compares of a decision's guards and the fence; the operations of its writes. Compares that
// several decisions share stand in it once.
store::Txn MakeTransaction(const registry::Keys& keys, const Fence& fence,
                           const std::vector<reconcile::Decision>& decisions);

// Splits decisions, in their order, into groups whose transactions stay within the store's limit
// with `reserved_ops` operations to spare.
std::vector<std::vector<reconcile::Decision>> SplitIntoTransactions(
    const registry::Keys& keys, std::vector<reconcile::Decision> decisions, size_t reserved_ops);

}  // namespace fleet::engine
