#include "fleetctl/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace fleet::fleetctl {

void FillStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    // The lowest number that is free, which is this one.
    const int mode = fd == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", mode) == -1) return;  // NOLINT(cppcoreguidelines-pro-type-vararg)
  }
}

}  // namespace fleet::fleetctl
