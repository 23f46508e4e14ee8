#pragma once

// host::Guard by the files of guard_files.h.

#include <memory>
#include <set>
#include <string>

#include "base/executor.h"
#include "host/host.h"

namespace fleet::host {

class FileGuard final : public Guard {
 public:
  // `directory`: the guard's. `link_directory`: where systemd looks for units made at run time;
  // the drop-ins NAME.d/50-fleet-guard.conf there are this object's.
  FileGuard(std::string directory, std::string link_directory, Executor* executor);
  ~FileGuard() override;

  void Arm(GuardOrder order, Callback<std::set<std::string>> done) override;

 private:
  absl::Status Write(const GuardOrder& order);
  absl::Status SyncDropIns(const std::set<std::string>& units);
  void Await(absl::Time until);
  void Finish(absl::StatusOr<std::set<std::string>> answer);

  const std::string directory_;
  const std::string links_;
  Executor* const executor_;
  bool drop_ins_known_ = false;
  std::set<std::string> drop_ins_;  // units that have one
  std::string id_;                  // of the order that is to be answered
  Callback<std::set<std::string>> done_;
  Executor::TimerId timer_ = 0;
};

}  // namespace fleet::host
