#pragma once

// Carries out the steps of a scheduling case on one scheduler.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing/case_file.h"

namespace fleet::scheduler {

class CaseRunner {
 public:
  using Lines = std::vector<std::string>;

  // What the step answers, one line each; nothing for a step that only changes something.
  // INVALID_ARGUMENT if the step cannot be read or names what is not known.
  absl::StatusOr<Lines> Run(const Step& step);

  const Scheduler& scheduler() const { return *scheduler_; }

 private:
  struct Asked {  // "NAME… [avoiding ID]"
    std::vector<UnitId> units;
    std::optional<Slot> avoid;
  };

  absl::StatusOr<Lines> Change(const Step& step);
  absl::StatusOr<Lines> PlaceUnit(const Step& step);
  absl::StatusOr<Lines> Choose(const Step& step);
  absl::StatusOr<Lines> Start(const Step& step);
  absl::StatusOr<Lines> Together(const Step& step);
  absl::StatusOr<Lines> Fill();
  absl::StatusOr<Lines> Lose(const Step& step);
  absl::StatusOr<Lines> Ask(const Step& step);
  absl::StatusOr<Lines> Tally(const Step& step) const;
  Lines Explain(const Asked& asked) const;
  Lines Judge(const std::vector<UnitId>& units) const;
  Lines Preempt(const std::vector<UnitId>& units) const;
  absl::StatusOr<Lines> Rebalance(const Step& step);

  // Makes the unit known, with these keys, or with what is known of it if there are none.
  absl::StatusOr<UnitId> Unit(const std::string& name, const std::string& x_fleet);
  absl::StatusOr<Asked> Read(const Step& step, size_t first);
  absl::StatusOr<Slot> MachineOf(const Step& step, size_t word) const;
  std::string Names(const std::vector<UnitId>& units) const;
  // Places them one after the other, those of the highest priority first, then by name.
  Lines PlaceEach(std::vector<UnitId> units);
  void InOrderOfPriority(std::vector<UnitId>& units) const;
  bool MayMove(UnitId unit) const { return !fixed_.contains(scheduler_->UnitName(unit)); }

  std::unique_ptr<Scheduler> scheduler_ = std::make_unique<Scheduler>();
  std::map<std::string, Machine> machines_;  // those that are present
  std::set<std::string> units_;              // all that are known
  std::set<std::string> fixed_;              // those that neither preempt nor rebalance may move
};

// Whether these are the answers that a step expects. What may be left out: why there is no machine
// (behind "none", or behind "waits"), and with "…" as the last expected line all that follows.
bool IsAsExpected(const std::vector<std::string>& answers,
                  const std::vector<std::string>& expected);

}  // namespace fleet::scheduler
