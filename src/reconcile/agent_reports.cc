// What the agent reports of its units, and how often. See agent_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "reconcile/agent_predicates.h"
#include "reconcile/agent_reconciler.h"

namespace fleet::reconcile {

namespace {

constexpr double kReportBurst = 5;
constexpr absl::Duration kReportInterval = absl::Seconds(5);
constexpr double kRounding = 1e-6;

// Only systemd's states differ: nobody has asked for this change.
bool IsFlapping(const std::optional<StateReport>& before, const std::optional<StateReport>& now) {
  return before && now && before->uid == now->uid && before->generation == now->generation &&
         before->gone == now->gone && before->settled == now->settled;
}

}  // namespace

std::optional<StateReport> AgentReconciler::ReportOf(const Unit& unit) const {
  if (!unit.note) {
    if (!unit.assignment) return std::nullopt;
    // Nothing of that name is here (any more). Another one's tombstone says nothing about what
    // stands here, which occupies the machine: the engine is told of that instead (S1).
    if (Wants(unit.assignment, AssignmentState::kGone) || leaving_) {
      return StateReport{.uid = unit.assignment->uid,
                         .generation = unit.assignment->generation,
                         .content_hash = unit.assignment->content_hash,
                         .active_state = "inactive",
                         .sub_state = "dead",
                         .gone = true,
                         .settled = true};
    }
    if (unit.error.empty()) return std::nullopt;
    return StateReport{.uid = unit.assignment->uid,
                       .generation = unit.assignment->generation,
                       .content_hash = unit.assignment->content_hash,
                       .load_state = "error",
                       .active_state = "inactive",
                       .sub_state = "dead",
                       .settled = true,
                       .result = unit.error};
  }
  StateReport report{.uid = unit.note->uid,
                     .generation = unit.note->generation,
                     .content_hash = unit.note->content_hash,
                     .load_state = unit.status.load_state,
                     .active_state = unit.status.active_state,
                     .sub_state = unit.status.sub_state,
                     .result = unit.result,
                     .log_tail = unit.log_tail,
                     .drift = DriftOf(unit)};
  if (report.load_state.empty()) report.load_state = "loaded";
  if (report.active_state.empty()) report.active_state = "inactive";
  if (report.sub_state.empty()) report.sub_state = "dead";
  const bool current = unit.assignment && unit.assignment->uid == unit.note->uid &&
                       unit.assignment->generation == unit.note->generation;
  if (unit.assignment && !current) {
    // What is asked now has yet to be done: all that is to be said is what hinders that.
    report.result = unit.error;
    report.log_tail.clear();
  } else if (!unit.error.empty()) {
    const bool says_more = !unit.result.empty() && unit.result != "success";
    report.result = says_more ? unit.error + " (" + unit.result + ")" : unit.error;
  }
  // Loaded is all that is asked: how a run ended that systemd began by itself is no failure of
  // that.
  if (unit.assignment && unit.assignment->state == AssignmentState::kLoaded && unit.error.empty()) {
    report.result.clear();
    report.log_tail.clear();
  }
  if (current && unit.busy == Busy::kNo) {
    const bool launch = unit.assignment->state == AssignmentState::kLaunched;
    report.settled =
        !unit.error.empty() || (launch ? unit.note->started : unit.loaded && !unit.note->started);
  }
  // What failed is told together with its reason.
  if (unit.diagnose || unit.diagnosing) report.settled = false;
  return report;
}

std::vector<StateWrite> AgentReconciler::TakeReports(absl::Time now) {
  std::vector<StateWrite> writes;
  if (!units_listed_ || !assignments_read_) return writes;
  std::set<std::string> later;
  for (const std::string& name : std::exchange(report_dirty_, {})) {
    const auto it = units_.find(name);
    if (it == units_.end()) continue;
    Unit& unit = it->second;
    const auto report = ReportOf(unit);
    if (report == unit.reported) {
      if (!unit.assignment && !unit.note && unit.busy == Busy::kNo) units_.erase(it);
      continue;
    }
    if (IsFlapping(unit.reported, report)) {
      if (unit.tokens_at == absl::InfinitePast()) unit.tokens_at = now;
      unit.report_tokens =
          std::min(kReportBurst,
                   unit.report_tokens + absl::FDivDuration(now - unit.tokens_at, kReportInterval));
      unit.tokens_at = now;
      if (unit.report_tokens < 1 - kRounding) {
        later.insert(name);
        continue;
      }
      unit.report_tokens = std::max(0.0, unit.report_tokens - 1);
    }
    unit.reported = report;
    writes.push_back({name, report});
    if (!report) report_dirty_.insert(name);  // to be forgotten next time
  }
  report_dirty_.merge(later);
  return writes;
}

absl::Time AgentReconciler::NextReport() const {
  absl::Time next = absl::InfiniteFuture();
  if (!units_listed_ || !assignments_read_) return next;
  for (const std::string& name : report_dirty_) {
    const auto it = units_.find(name);
    if (it == units_.end()) continue;
    const Unit& unit = it->second;
    const auto report = ReportOf(unit);
    if (report == unit.reported) continue;
    if (!IsFlapping(unit.reported, report) || unit.report_tokens >= 1 - kRounding ||
        unit.tokens_at == absl::InfinitePast()) {
      return absl::InfinitePast();
    }
    next = std::min(next, unit.tokens_at + (1 - unit.report_tokens) * kReportInterval);
  }
  return next;
}

void AgentReconciler::SetReported(const std::map<std::string, StateReport>& reported) {
  for (const auto& [name, report] : reported) units_[name].status.name = name;
  for (auto& [name, unit] : units_) {
    const auto it = reported.find(name);
    unit.reported = it == reported.end() ? std::nullopt : std::optional(it->second);
    report_dirty_.insert(name);
  }
}

std::vector<AgentReconciler::UnitSummary> AgentReconciler::Summaries() const {
  std::vector<UnitSummary> summaries;
  for (const auto& [name, unit] : units_) {
    summaries.push_back(
        {.name = name,
         .desired = unit.assignment ? std::string(ToString(unit.assignment->state)) : "",
         .active_state = unit.status.active_state,
         .sub_state = unit.status.sub_state,
         .busy = unit.busy != Busy::kNo,
         .error = unit.error,
         .drift = DriftOf(unit)});
  }
  return summaries;
}

}  // namespace fleet::reconcile
