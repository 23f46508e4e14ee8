#pragma once

// The agent's decisions: (assignments, what systemd reports, event, now) → systemd calls and
// reports. Pure: no I/O, no clock, no threads.
//
// Each unit goes its own way, one operation at a time:
//   assigned:  fetch text → install → (enable, reload) → start or load → settled
//   new text:  see that it can be installed → stop → install → (reload) → start
//   tombstone: stop → disable, remove → reported gone → forgotten when the assignment is deleted
// A unit that is installed but assigned nowhere is an orphan: reported, never touched (S3). So is
// one whose assignment cannot be read.
//
// Units with OnIsolation=stop are loaded and started only while the guard (host::Guard) holds a
// deadline for them.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "model/records.h"
#include "reconcile/agent_action.h"

namespace fleet::reconcile {

class AgentReconciler {
 public:
  AgentReconciler() = default;

  // What was installed when fleetd started; call it once, first.
  void Adopt(const std::vector<host::InstalledUnit>& installed);

  // All units that systemd has loaded (at start, and whenever signals may have been lost).
  void OnUnitList(const std::vector<host::UnitStatus>& units);
  void OnUnitChanged(const host::UnitStatus& status);
  void OnUnitRemoved(const std::string& unit);

  // The machine's assignments: all of them after a complete read, then one by one. A unit whose
  // assignment was written by a newer version, or is damaged, is left as it is until a readable one
  // comes.
  void OnAssignments(const std::map<std::string, Assignment>& all,
                     const std::set<std::string>& unreadable = {});
  void OnAssignment(const std::string& unit, const std::optional<Assignment>& assignment);
  void OnUnreadableAssignment(const std::string& unit);
  // The machine is not a member any more: what was assigned may be elsewhere by now. Everything
  // stays as it is until the next complete read, which also says what has to stop first (S1).
  void OnMembershipLost() { assignments_read_ = false; }

  // The machine leaves the cluster: every unit is stopped and removed, whatever is assigned.
  void BeginLeaving();
  // True once nothing of ours is left on the machine.
  bool HasLeft() const;

  // The units that the guard has to hold a deadline for: those with OnIsolation=stop here.
  const std::set<std::string>& guarded_units() const { return guarded_; }
  // Those it holds one for now, which has not passed. `why_not`: what keeps the others from being
  // started; empty if that is only a matter of time.
  void OnGuard(std::set<std::string> armed, const std::string& why_not);
  // The guard has stopped these since it was asked last. Those that are still assigned start again.
  // Their notes are to be written before the guard is told that it may forget it.
  std::vector<WriteNote> OnGuardStopped(const std::set<std::string>& units);

  // Drift: what somebody else does to a unit that it is installed for. It is reported; with
  // `restores` a unit that was stopped is started again, and a file that was edited is written anew
  // (without a restart). Never what ended or failed by itself, and never what is masked.
  void SetRestoresDrift(bool restores) { restores_drift_ = restores; }
  // A job of systemd's begins; it may be one of ours.
  void OnJobBegan(const std::string& unit);
  // One that is not ours has ended. The unit's state is the one after it.
  void OnOtherJobEnded(const std::string& unit, const std::string& result);
  // The hash of the text that is on disk now.
  void OnTextRead(const std::string& unit, const std::string& hash);
  std::vector<std::string> InstalledUnits() const;

  // Answers to actions.
  void OnContent(const std::string& hash, absl::StatusOr<std::shared_ptr<const UnitFile>> file);
  // `hash`: of the text that was looked at.
  void OnInstallChecked(const std::string& unit, const std::string& hash,
                        const absl::Status& status);
  void OnInstalled(const std::string& unit, const absl::Status& status);
  void OnRemoved(const std::string& unit, const absl::Status& status);
  void OnStarted(const std::string& unit, const absl::StatusOr<std::string>& job_result);
  void OnStopped(const std::string& unit, const absl::StatusOr<std::string>& job_result);
  void OnReset(const std::string& unit);
  void OnReloadChecked(const std::string& unit, bool needed);
  void OnLoaded(const std::string& unit, const absl::StatusOr<host::UnitStatus>& status);
  void OnDiagnosed(const std::string& unit, const std::string& result, const std::string& log_tail);
  void OnEnabled(const std::vector<std::string>& units, const absl::Status& status);
  void OnDisabled(const std::vector<std::string>& units, const absl::Status& status);
  void OnReloaded();
  // WriteNote has failed: it is done again a little later.
  void OnNoteNotWritten(const std::string& unit);

  // What is to be done now. Call it after each (batch of) the above.
  std::vector<AgentAction> Step(absl::Time now);
  // True if Step() has something to look at already.
  bool HasWork() const;
  // When Step() has to be called although nothing happened; InfiniteFuture if never.
  absl::Time NextWakeup() const;

  // Reports that differ from what was taken last. A unit that changes by itself, while nothing new
  // is asked of it, is reported in a burst of 5, then once in 5 s; the last value wins. The caller
  // writes them; if that fails, it reads what the registry has and calls SetReported().
  std::vector<StateWrite> TakeReports(absl::Time now);
  // When TakeReports() has something; InfinitePast: now; InfiniteFuture: nothing to report.
  absl::Time NextReport() const;
  // What the registry holds of this machine now; whatever differs is given again.
  void SetReported(const std::map<std::string, StateReport>& reported);

  // Units that are installed here; for the log and SIGUSR1.
  size_t installed_units() const;

  // What is known of each unit, for those who look for a fault.
  struct UnitSummary {
    std::string name;
    std::string desired;  // "loaded", "launched", "gone"; "" if nothing is assigned: an orphan
    std::string active_state;
    std::string sub_state;
    bool busy = false;  // an answer of systemd, or a text, is awaited
    std::string error;
    std::string drift;
  };
  std::vector<UnitSummary> Summaries() const;

 private:
  enum class Busy {
    kNo,
    kFetching,
    kCheckingInstall,
    kInstalling,
    kEnabling,
    kDisabling,
    kReloading,
    kCheckingReload,
    kStarting,
    kStopping,
    kResetting,
    kLoading,
    kRemoving,
  };

  struct Unit {
    std::optional<Assignment> assignment;
    std::optional<host::UnitNote> note;          // what is installed
    std::optional<host::UnitNote> written_note;  // what the disk has
    std::optional<host::UnitNote> former_note;   // before the text being installed
    std::string installable;                     // hash of the text that may be stopped for
    bool has_install_section = false;
    bool stale_text = false;  // the text on disk is not the note's: a crash came between the two
    bool unreadable = false;  // its assignment
    bool other_job = false;   // a job began while it was up and nothing was asked of it
    bool stopped_by_hand = false;  // and has stopped it
    bool edited = false;           // its file, since it was started
    host::UnitStatus status;
    Busy busy = Busy::kNo;
    bool stop_done = false;   // the stop that the present step needs has ended
    bool fresh_text = false;  // installed since systemd last read the file, as far as we know
    bool loaded = false;      // systemd was asked to read the file; status.load_state is true
    bool diagnose = false;    // a failure has not been looked into yet
    bool diagnosing = false;  // it is being looked into
    std::string result;
    std::string log_tail;
    bool start_failed = false;   // `error` is about its start job
    bool tried_again = false;    // and systemd has since started it by itself, to the end
    bool missed_others = false;  // its last start came before what it needs was installed
    std::string error;           // of our own doing: the text or a file could not be handled
    absl::Time retry_at = absl::InfinitePast();
    std::optional<StateReport> reported;
    double report_tokens = 5;
    absl::Time tokens_at = absl::InfinitePast();
  };
  using Units = std::map<std::string, Unit>;

  struct PendingContent {
    std::shared_ptr<const UnitFile> file;  // nullptr while it is being fetched
    std::set<std::string> units;           // that need it
  };

  // What runs here and what is wanted here are known.
  bool OthersAreOnTheirWay(const std::string& name) const;
  bool MayAct() const { return units_listed_ && (assignments_read_ || leaving_); }
  void StepUnit(const std::string& name, Unit& unit, absl::Time now,
                std::vector<AgentAction>& actions);
  void StepRemoval(const std::string& name, Unit& unit, std::vector<AgentAction>& actions);
  void StepInstall(const std::string& name, Unit& unit, std::vector<AgentAction>& actions);
  void StepInstalled(const std::string& name, Unit& unit, std::vector<AgentAction>& actions);
  bool StepStop(const std::string& name, Unit& unit, std::vector<AgentAction>& actions);
  void Touch(const std::string& name);
  void Fail(const std::string& name, Unit& unit, const absl::Status& status);
  void NoLongerNeeds(const std::string& name, const std::string& hash);
  void StoppedFirst(const std::string& name);
  Unit* Find(const std::string& name, Busy expected);
  std::optional<StateReport> ReportOf(const Unit& unit) const;
  bool IsSuperseded(const Unit& unit) const;
  bool WaitsForGuard(const std::string& name, Unit& unit) const;
  void SetGuarded(const std::string& name, bool guarded);
  void StepRewrite(const std::string& name, Unit& unit, std::vector<AgentAction>& actions);
  std::shared_ptr<const UnitFile> NeedContent(const std::string& name, Unit& unit,
                                              std::vector<AgentAction>& actions);
  std::string DriftOf(const Unit& unit) const;
  void Apply(Unit& unit, const host::UnitStatus& status);

  Units units_;
  std::set<std::string> dirty_;
  std::set<std::string> report_dirty_;
  std::map<std::string, PendingContent> contents_;  // needed right now, by hash
  std::map<std::string, absl::Time> retries_;       // by unit
  std::set<std::string> unwritten_notes_;           // units whose note is to be written again
  std::set<std::string> to_stop_first_;             // tombstones found at a complete read
  std::set<std::string> enabling_;                  // gathered within one Step
  std::set<std::string> enabling_alone_;            // after a batch of them failed
  std::set<std::string> disabling_;
  std::set<std::string> reloading_;  // waiting for the reload
  std::set<std::string> guarded_;    // installed, with OnIsolation=stop
  std::set<std::string> armed_;      // the guard holds a deadline for them
  std::string guard_problem_;
  bool reload_running_ = false;
  bool assignments_read_ = false;
  bool units_listed_ = false;
  bool leaving_ = false;
  bool restores_drift_ = false;
};

}  // namespace fleet::reconcile
