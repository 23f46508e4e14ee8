#include "fleetctl/concurrent.h"

#include <memory>
#include <mutex>
#include <utility>

namespace fleet::fleetctl {

client::ClientOptions ForThreads(client::ClientOptions options) {
  options.warn = nullptr;
  options.trace = nullptr;
  if (!options.dial) return options;
  options.dial = [dial = std::move(options.dial), mutex = std::make_shared<std::mutex>()](
                     const client::Endpoint& endpoint, absl::Time deadline) {
    const std::lock_guard lock(*mutex);
    return dial(endpoint, deadline);
  };
  return options;
}

}  // namespace fleet::fleetctl
