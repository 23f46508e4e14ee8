#pragma once

// fleetd as a whole: which loops there are, what lives in which, and in what order it comes and
// goes. No decisions beside that.
//
//   lease loop    the machine's lease (registry::LeaseKeeper), nothing else
//   machine loop  agent, systemd, signals: the main thread
//   engine loop   mirror and engine
//   API loop      api::Server's thread
//
// Each loop has a handle of its own on the store; loops exchange immutable values by Post().

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fleetd/config.h"

namespace fleet::fleetd {

class Daemon {
 public:
  // `reread` gives the configuration again on SIGHUP.
  Daemon(LoadedConfig config, absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Runs until SIGTERM or SIGINT. Errors are those that keep it from starting at all; an etcd that
  // cannot be reached is none.
  absl::Status Run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleet::fleetd
