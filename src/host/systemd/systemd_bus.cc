#include "host/systemd/systemd_bus.h"

#include <systemd/sd-bus.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status.h"
#include "host/systemd/addresses.h"
#include "host/systemd/connection.h"
#include "host/systemd/jobs.h"
#include "host/systemd/messages.h"
#include "host/systemd/object_path.h"

namespace fleet::host {
namespace {

constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManagerInterface[] = "org.freedesktop.systemd1.Manager";
constexpr char kPropertiesInterface[] = "org.freedesktop.DBus.Properties";

// Replies wait while PID 1 reloads, seconds with thousands of units.
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
constexpr absl::Duration kReloadTimeout = absl::Seconds(300);
// Between two questions about units whose state a signal did not tell.
constexpr absl::Duration kRefreshPause = absl::Milliseconds(20);
// systemd adds a match rule to its connection per job and client; beyond 512 the bus drops it.
constexpr size_t kBusWindow = 100;
constexpr size_t kBusStartWindow = 80;

// Fills a call's arguments; negative errno as sd_bus_message_append returns it.
using Fill = std::function<int(sd_bus_message*)>;
int NoArguments(sd_bus_message* /*message*/) { return 0; }

struct CallTarget {
  std::string path = kManagerPath;
  const char* interface = kManagerInterface;
  const char* member = nullptr;
};

CallTarget OfManager(const char* member) { return {.member = member}; }
CallTarget GetProperty(std::string path) {
  return {.path = std::move(path), .interface = kPropertiesInterface, .member = "Get"};
}

int AppendStrings(sd_bus_message* message, const std::vector<std::string>& strings) {
  int r = sd_bus_message_open_container(message, 'a', "s");
  for (size_t i = 0; i < strings.size() && r >= 0; ++i) {
    r = sd_bus_message_append(message, "s", strings[i].c_str());
  }
  return r < 0 ? r : sd_bus_message_close_container(message);
}

// The interface that has a Result for units of this type; empty where none has.
std::string_view ResultInterface(std::string_view unit) {
  static constexpr std::pair<std::string_view, std::string_view> kInterfaces[] = {
      {".service", "org.freedesktop.systemd1.Service"},
      {".socket", "org.freedesktop.systemd1.Socket"},
      {".mount", "org.freedesktop.systemd1.Mount"},
      {".automount", "org.freedesktop.systemd1.Automount"},
      {".swap", "org.freedesktop.systemd1.Swap"},
      {".timer", "org.freedesktop.systemd1.Timer"},
      {".path", "org.freedesktop.systemd1.Path"},
      {".scope", "org.freedesktop.systemd1.Scope"},
  };
  for (const auto& [suffix, interface] : kInterfaces) {
    if (unit.ends_with(suffix)) return interface;
  }
  return "";
}

absl::Status Explain(const absl::Status& status, const std::string& what) {
  return absl::Status(status.code(), absl::StrCat("cannot ", what, ": ", status.message()));
}

class SystemdBus final : public Systemd {
 public:
  SystemdBus(std::vector<BusAddress> addresses, Loop* loop)
      : loop_(loop),
        connection_(std::move(addresses), loop,
                    {.connected = [this](bool broker) { OnConnected(broker); },
                     .disconnected = [this](const absl::Status& why) { OnDisconnected(why); },
                     .signal = [this](sd_bus_message* m) { OnSignal(m); }}) {
    jobs_.SetWindow(kBusStartWindow, kBusWindow);  // until it is known who answers
  }

  ~SystemdBus() override {
    if (refresh_timer_ != 0) loop_->Cancel(refresh_timer_);
  }

  void SetListener(Listener* listener) override {
    listener_ = listener;
    Later([this] { (void)connection_.Get(); });
  }

  void Start(const std::string& unit, JobCallback done) override {
    AddJob({JobRequest::Kind::kStart, unit, std::move(done)});
  }
  void Stop(const std::string& unit, JobCallback done) override {
    AddJob({JobRequest::Kind::kStop, unit, std::move(done)});
  }

  void ResetFailed(const std::string& unit, DoneCallback done) override {
    Call(
        OfManager("ResetFailedUnit"), absl::StrCat("reset ", unit),
        [unit](sd_bus_message* m) { return sd_bus_message_append(m, "s", unit.c_str()); },
        [done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          // A unit that systemd does not know has no failure to forget.
          done(absl::IsNotFound(reply.status()) ? absl::OkStatus() : reply.status());
        });
  }

  void Reload(DoneCallback done) override {
    Call(
        OfManager("Reload"), "make systemd reload its configuration", NoArguments,
        [done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          done(reply.status());
        },
        kReloadTimeout);
  }

  void Enable(std::vector<std::string> units, DoneCallback done) override {
    // Not forced: an alias that is there and leads elsewhere belongs to somebody else.
    std::string what = absl::StrCat("enable ", absl::StrJoin(units, ", "));
    Call(
        OfManager("EnableUnitFiles"), std::move(what),
        [&](sd_bus_message* m) {
          const int r = AppendStrings(m, units);
          constexpr int kAtRunTime = 1;
          constexpr int kForce = 0;
          return r < 0 ? r : sd_bus_message_append(m, "bb", kAtRunTime, kForce);
        },
        [done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          done(reply.status());
        });
  }

  void ListUnits(Callback<std::vector<UnitStatus>> done) override {
    Call(OfManager("ListUnits"), "list systemd's units", NoArguments,
         [this, done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
           if (!reply.ok()) return done(reply.status());
           auto units = ReadUnitList(*reply);
           if (units.ok()) {
             for (const UnitStatus& unit : *units) NoteLoadState(unit);
           }
           done(std::move(units));
         });
  }

  void GetUnit(const std::string& unit, Callback<UnitStatus> done) override {
    Call(
        OfManager("ListUnitsByNames"), absl::StrCat("ask systemd about ", unit),
        [unit](sd_bus_message* m) { return AppendStrings(m, {unit}); },
        [this, unit, done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          if (!reply.ok()) return done(reply.status());
          auto units = ReadUnitList(*reply);
          if (!units.ok()) return done(units.status());
          if (units->empty()) {
            return done(absl::InvalidArgumentError(
                absl::StrCat("systemd does not take \"", unit, "\" for the name of a unit")));
          }
          UnitStatus status = std::move(units->front());
          NoteLoadState(status);
          status.name = unit;  // systemd answers with the unit that the name is an alias of
          done(std::move(status));
        });
  }

  void NeedsReload(const std::string& unit, Callback<bool> done) override {
    Call(
        GetProperty(UnitPath(unit)), absl::StrCat("ask systemd whether ", unit, " changed on disk"),
        [](sd_bus_message* m) {
          return sd_bus_message_append(m, "ss", "org.freedesktop.systemd1.Unit",
                                       "NeedDaemonReload");
        },
        [done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          if (!reply.ok()) return done(reply.status());
          done(ReadBoolProperty(*reply));
        });
  }

  void GetResult(const std::string& unit, Callback<std::string> done) override {
    const std::string_view interface = ResultInterface(unit);
    if (interface.empty()) {
      Later([done = std::move(done)]() mutable { done(std::string()); });
      return;
    }
    Call(
        GetProperty(UnitPath(unit)), absl::StrCat("ask systemd for the result of ", unit),
        [interface](sd_bus_message* m) {
          return sd_bus_message_append(m, "ss", interface.data(), "Result");
        },
        [done = std::move(done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
          if (!reply.ok()) return done(reply.status());
          done(ReadStringProperty(*reply));
        });
  }

 private:
  // Runs `task` from the loop, unless this object is gone by then.
  void Later(Task task) {
    loop_->Post([task = std::move(task), alive = std::weak_ptr<bool>(alive_)]() mutable {
      if (!alive.expired()) task();
    });
  }

  // Calls `done` exactly once, from the loop. `what` completes "cannot …" in its error.
  void Call(const CallTarget& target, std::string what, const Fill& fill, Bus::ReplyCallback done,
            absl::Duration timeout = kCallTimeout) {
    auto guarded = std::make_shared<Bus::ReplyCallback>(
        [alive = std::weak_ptr<bool>(alive_), what = std::move(what),
         done = std::move(done)](absl::StatusOr<sd_bus_message*> reply) mutable {
          if (alive.expired()) return;
          if (!reply.ok()) reply = Explain(reply.status(), what);
          done(std::move(reply));
        });
    absl::Status status = Send(target, fill, timeout, guarded);
    if (status.ok()) return;
    Later([guarded, status = std::move(status)] { (*guarded)(status); });
  }

  absl::Status Send(const CallTarget& target, const Fill& fill, absl::Duration timeout,
                    const std::shared_ptr<Bus::ReplyCallback>& done) {
    ASSIGN_OR_RETURN(Bus * bus, connection_.Get());
    ASSIGN_OR_RETURN(Message message,
                     bus->NewCall(kManager, target.path.c_str(), target.interface, target.member));
    if (const int r = fill(message.get()); r < 0) {
      return absl::ErrnoToStatus(-r, "a name that D-Bus cannot carry");
    }
    return bus->Call(std::move(message), timeout,
                     [done](absl::StatusOr<sd_bus_message*> reply) { (*done)(std::move(reply)); });
  }

  void AddJob(JobRequest request) {
    std::vector<JobCallback> cancelled = jobs_.Add(std::move(request));
    Finish(std::move(cancelled), "canceled");
    SendJobs();
  }

  void SendJobs() {
    while (auto request = jobs_.Next()) {
      const bool start = request->kind == JobRequest::Kind::kStart;
      Call(
          OfManager(start ? "StartUnit" : "StopUnit"),
          absl::StrCat(start ? "start " : "stop ", request->unit),
          [&unit = request->unit](sd_bus_message* m) {
            return sd_bus_message_append(m, "ss", unit.c_str(), "replace");
          },
          [this, start,
           done = std::move(request->done)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
            OnJobReply(start, reply, std::move(done));
          });
    }
  }

  void OnJobReply(bool start, const absl::StatusOr<sd_bus_message*>& reply, JobCallback done) {
    const char* job = nullptr;
    if (!reply.ok()) {
      jobs_.Failed();
      // What systemd does not know does not run.
      if (!start && absl::IsNotFound(reply.status())) {
        done("done");
      } else {
        done(reply.status());
      }
    } else if (sd_bus_message_read(*reply, "o", &job) <= 0) {
      jobs_.Failed();
      done(absl::InternalError("systemd answered a request for a job without the job's path"));
    } else if (auto ended = jobs_.Queued(job, std::move(done))) {
      ended->first(std::move(ended->second));
    }
    SendJobs();
  }

  // Tells callbacks from the loop.
  void Finish(std::vector<JobCallback> callbacks, const absl::StatusOr<std::string>& result) {
    for (JobCallback& callback : callbacks) {
      Later([callback = std::move(callback), result]() mutable { callback(result); });
    }
  }

  void OnConnected(bool broker) {
    jobs_.SetWindow(broker ? kBusStartWindow : 0, broker ? kBusWindow : 0);
    // On a message bus the jobs of before a daemon-reexec are still systemd's.
    CheckJobs();
    Resync();
  }

  void OnDisconnected(const absl::Status& why) {
    refresh_.clear();
    Finish(jobs_.TakeAll(), absl::UnavailableError(absl::StrCat(
                                "lost sight of the job, which may still run: ", why.message())));
  }

  void Resync() {
    not_loaded_.clear();
    if (listener_ != nullptr) listener_->OnResync();
  }

  // Jobs that a reload dropped end without a signal.
  void CheckJobs() {
    std::vector<std::string> running = jobs_.Running();
    if (running.empty()) return;
    Call(OfManager("ListJobs"), "list systemd's jobs", NoArguments,
         [this, running = std::move(running)](const absl::StatusOr<sd_bus_message*>& reply) {
           if (!reply.ok()) return;  // the connection is lost, and the jobs with it
           auto jobs = ReadJobList(*reply);
           if (!jobs.ok()) return log::Error("{}", jobs.status().ToString());
           Finish(jobs_.TakeLost(running, *jobs),
                  absl::UnavailableError("systemd dropped the job when it reloaded"));
           SendJobs();
         });
  }

  void OnSignal(sd_bus_message* signal) {
    const char* raw_member = sd_bus_message_get_member(signal);
    if (raw_member == nullptr) return;
    const std::string_view member = raw_member;
    if (member == "PropertiesChanged") {
      OnPropertiesChanged(signal);
    } else if (member == "JobRemoved") {
      OnJobRemoved(signal);
    } else if (member == "JobNew") {
      const char* name = nullptr;
      if (sd_bus_message_read(signal, "uos", nullptr, nullptr, &name) <= 0) return;
      if (Watches(name)) listener_->OnJobBegan(name);
    } else if (member == "UnitNew" || member == "UnitRemoved") {
      const char* name = nullptr;
      if (sd_bus_message_read(signal, "s", &name) <= 0) return;
      if (member == "UnitNew") return Refresh(name);
      not_loaded_.erase(name);
      refresh_.erase(name);
      if (Watches(name)) listener_->OnUnitRemoved(name);
    } else if (member == "Reloading") {
      int active = 0;
      if (sd_bus_message_read(signal, "b", &active) <= 0 || active != 0) return;
      CheckJobs();
      Resync();
    }
  }

  void OnJobRemoved(sd_bus_message* signal) {
    const char* job = nullptr;
    const char* unit = nullptr;
    const char* result = nullptr;
    if (sd_bus_message_read(signal, "uoss", nullptr, &job, &unit, &result) <= 0) return;
    std::vector<JobCallback> ours = jobs_.Removed(job, result);
    if (ours.empty() && Watches(unit)) listener_->OnOtherJobEnded(unit, result);
    for (JobCallback& done : ours) done(std::string(result));
    SendJobs();
  }

  void OnPropertiesChanged(sd_bus_message* signal) {
    const char* path = sd_bus_message_get_path(signal);
    std::optional<std::string> unit = UnitOfPath(path == nullptr ? "" : path);
    if (!unit || !Watches(*unit)) return;
    std::optional<StateChange> change = ReadStateChange(signal);
    if (!change) return;
    if (change->active_state.empty() || change->sub_state.empty()) return Refresh(*unit);
    // What is being started has a file; LoadState itself is never signalled.
    if (change->active_state == "activating") not_loaded_.erase(*unit);
    const auto load = not_loaded_.find(*unit);
    UnitStatus status{*std::move(unit), load == not_loaded_.end() ? "loaded" : load->second,
                      std::move(change->active_state), std::move(change->sub_state)};
    refresh_.erase(status.name);
    listener_->OnUnitChanged(status);
  }

  // systemd announces a unit once with UnitNew, and then changes: a change that comes with the
  // announcement is in neither. Asks for such units together, and without loading what has gone.
  void Refresh(const std::string& unit) {
    if (!Watches(unit)) return;
    refresh_.insert(unit);
    if (refresh_timer_ != 0) return;
    refresh_timer_ = loop_->PostAfter(kRefreshPause, [this] {
      refresh_timer_ = 0;
      SendRefresh();
    });
  }

  void SendRefresh() {
    if (refresh_.empty()) return;
    Call(
        OfManager("ListUnitsByPatterns"), "ask systemd about new units",
        [this](sd_bus_message* m) {
          const int r = AppendStrings(m, {});  // in any state
          // No unit name has a character that a pattern would take for special.
          return r < 0 ? r : AppendStrings(m, {refresh_.begin(), refresh_.end()});
        },
        [this](const absl::StatusOr<sd_bus_message*>& reply) {
          if (!reply.ok() || listener_ == nullptr) return;
          auto units = ReadUnitList(*reply);
          if (!units.ok()) return log::Error("{}", units.status().ToString());
          for (const UnitStatus& unit : *units) {
            NoteLoadState(unit);
            listener_->OnUnitChanged(unit);
          }
        });
    refresh_.clear();
  }

  void NoteLoadState(const UnitStatus& unit) {
    if (unit.load_state == "loaded") {
      not_loaded_.erase(unit.name);
    } else if (Watches(unit.name)) {
      not_loaded_[unit.name] = unit.load_state;
    }
  }

  bool Watches(const std::string& unit) const {
    return listener_ != nullptr && listener_->Watches(unit);
  }

  Loop* loop_;
  Listener* listener_ = nullptr;
  Jobs jobs_;
  // Units whose load state is not "loaded", as last told.
  absl::flat_hash_map<std::string, std::string> not_loaded_;
  absl::flat_hash_set<std::string> refresh_;  // units to ask for
  Executor::TimerId refresh_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Connection connection_;  // last: its end may still drop callbacks that refer to the above
};

}  // namespace

std::unique_ptr<Systemd> OpenSystemd(const SystemdOptions& options, Loop* loop) {
  return std::make_unique<SystemdBus>(ManagerAddresses(options.user, options.message_bus), loop);
}

}  // namespace fleet::host
