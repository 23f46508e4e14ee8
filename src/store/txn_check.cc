#include "store/txn_check.h"

#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "fmt/core.h"

namespace fleet::store {

bool Contains(const KeyRange& range, std::string_view key) {
  if (range.end.empty()) return key == range.key;
  return key >= range.key && (range.end == std::string_view("\0", 1) || key < range.end);
}

absl::Status CheckTxn(const Txn& txn) {
  if (txn.compares.size() > kMaxTxnSize || txn.ops.size() > kMaxTxnSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a transaction of ", txn.compares.size(), " compares and ", txn.ops.size(),
                     " operations: at most ", kMaxTxnSize, " of each are allowed"));
  }
  absl::Status no_key = absl::InvalidArgumentError("a transaction with an empty key");
  for (const Compare& compare : txn.compares) {
    if (compare.key.empty()) return no_key;
  }
  absl::flat_hash_set<std::string_view> put_keys;
  for (const Op& op : txn.ops) {
    if (const auto* put = std::get_if<Put>(&op)) {
      if (put->key.empty()) return no_key;
      if (!put_keys.insert(put->key).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("a transaction that puts ", put->key, " twice"));
      }
    } else if (std::get<Delete>(op).range.key.empty()) {
      return no_key;
    }
  }
  for (const Op& op : txn.ops) {
    const auto* del = std::get_if<Delete>(&op);
    if (del == nullptr) continue;
    for (const std::string_view key : put_keys) {
      if (Contains(del->range, key)) {
        return absl::InvalidArgumentError(
            fmt::format("a transaction that both puts and deletes {}", key));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTtl(absl::Duration ttl) {
  if (ttl <= absl::ZeroDuration() || ttl > absl::Seconds(9'000'000'000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lease of ", absl::FormatDuration(ttl), " cannot be granted"));
  }
  return absl::OkStatus();
}

}  // namespace fleet::store
