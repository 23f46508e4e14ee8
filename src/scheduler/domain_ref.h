#pragma once

// Names a domain (domains.h) that may have been dropped meanwhile.

#include <cstdint>

namespace fleet::scheduler {

struct DomainRef {
  uint32_t index = 0;
  uint64_t serial = 0;  // 0: none
};

}  // namespace fleet::scheduler
