#include "fleetctl/progress.h"

namespace fleet::fleetctl {

void Progress::Show(std::string_view line) {
  if (!session_.shows_progress()) return;
  session_.err() << "\r\033[K" << line << std::flush;
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) session_.err() << "\r\033[K" << std::flush;
  shown_ = false;
}

}  // namespace fleet::fleetctl
