#pragma once

#include <utility>

#include "mvcc.pb.h"
#include "store/store.h"

namespace fleet::store::etcd {

inline KeyValue TakeKeyValue(mvccpb::KeyValue& from) {
  return {.key = std::move(*from.mutable_key()),
          .value = std::move(*from.mutable_value()),
          .create_revision = from.create_revision(),
          .mod_revision = from.mod_revision(),
          .version = from.version(),
          .lease = from.lease()};
}

}  // namespace fleet::store::etcd
