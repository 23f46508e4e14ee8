#include "fleetd/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace fleet::fleetd {

namespace {

// One mapping of /proc/self/smaps (proc(5)).
struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool untouched_file = false;  // of a file, not writable, and no page of it was ever written

  void Release() const {
    if (!untouched_file) return;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses come as text.
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
};

// "7f00-7f01 r-xp 00000000 fd:00 123   /usr/lib/libx.so"; other lines are "Name:  value kB".
bool ParseHead(std::string_view line, Mapping* mapping) {
  const size_t dash = line.find('-');
  const size_t space = line.find(' ');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space) {
    return false;
  }
  const char* const data = line.data();
  Mapping head;
  if (std::from_chars(data, data + dash, head.begin, 16).ptr != data + dash) return false;
  if (std::from_chars(data + dash + 1, data + space, head.end, 16).ptr != data + space) {
    return false;
  }
  const std::string_view access = line.substr(space + 1, 4);
  head.untouched_file = (access == "r-xp" || access == "r--p") && line.find('/') != line.npos;
  *mapping = head;
  return true;
}

}  // namespace

void TrimStartupMemory() {
  malloc_trim(0);
  std::ifstream smaps("/proc/self/smaps");
  Mapping mapping;
  for (std::string line; std::getline(smaps, line);) {
    const Mapping before = mapping;
    if (ParseHead(line, &mapping)) {
      before.Release();
    } else if (line.starts_with("Anonymous:") && !line.ends_with(" 0 kB")) {
      mapping.untouched_file = false;  // relocated: its content is nowhere else
    }
  }
  mapping.Release();
}

}  // namespace fleet::fleetd
