#include "sim/os.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "fmt/core.h"

namespace fleet::sim {

namespace {

constexpr absl::Duration kBus = absl::Microseconds(200);
constexpr absl::Duration kAutoRestart = absl::Milliseconds(100);
// TimeoutStartSec=.
constexpr absl::Duration kStartTimeout = absl::Seconds(5);

}  // namespace

Behaviour Behaviour::Of(const std::string& text) {
  constexpr std::string_view kCommand = "ExecStart=/usr/bin/sim ";
  Behaviour behaviour;
  const size_t at = text.find(kCommand);
  if (at == std::string::npos) return behaviour;
  const std::string line = text.substr(at + kCommand.size(), text.find('\n', at) - at);
  const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \n"));
  int64_t start = 0;
  int64_t stop = 0;
  if (words.size() < 3 || !absl::SimpleAtoi(words[1], &start) ||
      !absl::SimpleAtoi(words[2], &stop)) {
    return behaviour;
  }
  behaviour.start = absl::Milliseconds(start);
  behaviour.stop = absl::Milliseconds(stop);
  if (words[0] == "fails") behaviour.kind = Kind::kFails;
  if (words[0] == "crashes") behaviour.kind = Kind::kCrashes;
  if (words[0] == "finishes") behaviour.kind = Kind::kFinishes;
  return behaviour;
}

Os::Os(std::string machine, EventQueue* queue, Random* random, RunObserver* observer)
    : machine_(std::move(machine)), queue_(queue), random_(random), observer_(observer) {}

void Os::Boot() {
  on_ = true;
  bus_down_ = false;
  boot_id_ = fmt::format("{}-boot-{}", machine_, ++boots_);
}

void Os::LosePower() {
  on_ = false;
  for (auto& [name, unit] : units) {
    if (unit.active == "active" || unit.active == "activating" || unit.active == "deactivating") {
      observer_->OnRunEnded(machine_, name);
    }
  }
  units.clear();
  files.clear();
  ++orders_;
  order_ = {};
  gate_closed_ = false;
  guarded_stops_.clear();
  listener_ = nullptr;
}

bool Os::IsRunning(const std::string& name) const {
  const auto it = units.find(name);
  return it != units.end() && (it->second.active == "active" || it->second.active == "activating" ||
                               it->second.active == "deactivating");
}

host::UnitStatus Os::StatusOf(const std::string& name) const {
  host::UnitStatus status{
      .name = name, .load_state = "not-found", .active_state = "inactive", .sub_state = "dead"};
  if (files.contains(name)) status.load_state = "loaded";
  const auto it = units.find(name);
  if (it == units.end()) return status;
  if (it->second.masked) status.load_state = "masked";
  status.active_state = it->second.active;
  status.sub_state = it->second.sub;
  return status;
}

void Os::SetState(const std::string& name, const char* active, const char* sub) {
  Unit& unit = units[name];
  const bool ran = IsRunning(name);
  unit.active = active;
  unit.sub = sub;
  const bool runs = IsRunning(name);
  if (!ran && runs) {
    const auto file = files.find(name);
    observer_->OnRunBegan(machine_, name,
                          file == files.end() ? host::UnitNote() : file->second.note);
  }
  if (ran && !runs) observer_->OnRunEnded(machine_, name);
  if (listener_ == nullptr || bus_down_) return;
  queue_->After(kBus, [this, status = StatusOf(name), process = process_]() {
    Process::Enter(process, [this, status] {
      if (listener_ != nullptr) listener_->OnUnitChanged(status);
    });
  });
}

void Os::BeginJob(Unit& unit, bool starts, std::function<void(absl::StatusOr<std::string>)> done) {
  if (unit.job != 0 && unit.job_done) unit.job_done(std::string("canceled"));
  unit.job = ++last_job_;
  unit.job_starts = starts;
  unit.job_done = std::move(done);
}

void Os::FinishJob(const std::string& name, const char* result) {
  Unit& unit = units[name];
  unit.job = 0;
  if (auto done = std::exchange(unit.job_done, nullptr)) done(std::string(result));
}

// If that job is still the unit's by then.
void Os::After(absl::Duration delay, const std::string& name, uint64_t job,
               std::function<void()> task) {
  queue_->After(delay, [this, name, job, boot = boots_, task = std::move(task)] {
    const auto it = units.find(name);
    if (on_ && boot == boots_ && it != units.end() && it->second.job == job) task();
  });
}

void Os::Start(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done) {
  if (bus_down_) return done(absl::UnavailableError("systemd is not reached"));
  const auto file = files.find(name);
  if (file == files.end()) return done(absl::NotFoundError("Unit " + name + " not found."));
  Unit& unit = units[name];
  if (unit.masked) {
    return done(absl::FailedPreconditionError("Unit " + name + " is masked."));
  }
  if (unit.active == "active") return done(std::string("done"));
  // Its condition does not hold.
  if (gate_closed_ && order_.units.contains(name)) return done(std::string("done"));
  if (unit.job != 0 && unit.job_starts) {
    // It joins the job that is there.
    auto first = std::move(unit.job_done);
    unit.job_done = [first = std::move(first), done = std::move(done)](auto result) {
      if (first) first(result);
      done(result);
    };
    return;
  }
  BeginJob(unit, /*starts=*/true, std::move(done));
  const uint64_t job = unit.job;
  const auto begin = [this, name, job] {
    Unit& started = units[name];
    const auto now_there = files.find(name);
    if (now_there == files.end()) return FinishJob(name, "failed");
    started.loaded_text = now_there->second.text;
    started.result = "success";
    const Behaviour behaviour = Behaviour::Of(started.loaded_text);
    SetState(name, "activating", "start");
    const absl::Duration takes = makes_jobs_hang ? kStartTimeout : behaviour.start;
    After(takes, name, job, [this, name, behaviour] {
      if (makes_jobs_hang) {
        units[name].result = "timeout";
        SetState(name, "failed", "failed");
        return FinishJob(name, "timeout");
      }
      switch (behaviour.kind) {
        case Behaviour::Kind::kFails:
          units[name].result = "exit-code";
          SetState(name, "failed", "failed");
          return FinishJob(name, "failed");
        case Behaviour::Kind::kFinishes:
          SetState(name, "inactive", "dead");
          return FinishJob(name, "done");
        default:
          SetState(name, "active", "running");
          FinishJob(name, "done");
          MayCrashLater(name, behaviour);
      }
    });
  };
  if (unit.active == "deactivating") {
    After(Behaviour::Of(unit.loaded_text).stop, name, job, [this, name, begin] {
      SetState(name, "inactive", "dead");
      begin();
    });
  } else {
    begin();
  }
}

void Os::MayCrashLater(const std::string& name, const Behaviour& behaviour) {
  if (behaviour.kind != Behaviour::Kind::kCrashes) return;
  queue_->After(random_->Between(absl::Seconds(2), absl::Seconds(60)),
                [this, name, boot = boots_, text = units[name].loaded_text, behaviour] {
                  const auto it = units.find(name);
                  if (stays_calm || !on_ || boot != boots_ || it == units.end() ||
                      it->second.job != 0 || it->second.active != "active" ||
                      it->second.loaded_text != text) {
                    return;
                  }
                  SetState(name, "activating", "auto-restart");
                  After(kAutoRestart, name, 0, [this, name, behaviour] {
                    if (units[name].sub != "auto-restart") return;
                    SetState(name, "active", "running");
                    MayCrashLater(name, behaviour);
                  });
                });
}

void Os::Stop(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done) {
  if (bus_down_) return done(absl::UnavailableError("systemd is not reached"));
  if (IsRunning(name)) observer_->OnStopAsked(machine_, name);
  BeginStop(name, std::move(done));
}

void Os::BeginStop(const std::string& name, std::function<void(absl::StatusOr<std::string>)> done) {
  const auto it = units.find(name);
  if (it == units.end() || (!IsRunning(name) && it->second.job == 0)) {
    return done(std::string("done"));
  }
  Unit& unit = it->second;
  BeginJob(unit, /*starts=*/false, std::move(done));
  if (!IsRunning(name)) return FinishJob(name, "done");
  SetState(name, "deactivating", "stop-sigterm");
  After(Behaviour::Of(unit.loaded_text).stop, name, unit.job, [this, name] {
    SetState(name, "inactive", "dead");
    FinishJob(name, "done");
  });
}

void Os::Guard(const host::GuardOrder& order, const Clock& clock) {
  observer_->OnNote(machine_, fmt::format("guards {} units", order.units.size()));
  order_ = order;
  gate_closed_ = false;
  const absl::Duration left = (order.deadline - clock.At(queue_->now())) / clock.rate;
  queue_->After(std::max(left, absl::ZeroDuration()), [this, number = ++orders_] {
    if (number == orders_) CloseGate();
  });
}

void Os::ForgetGuardedStops(const std::set<std::string>& noted) {
  for (const std::string& unit : noted) guarded_stops_.erase(unit);
}

void Os::CloseGate() {
  observer_->OnNote(machine_, "stops what it guards");
  gate_closed_ = true;
  for (const std::string& name : order_.units) {
    if (!IsRunning(name)) continue;
    guarded_stops_.insert(name);
    BeginStop(name, [](const auto&) {});
    const uint64_t job = units[name].job;
    After(order_.stop_timeout, name, job, [this, name] {
      if (!IsRunning(name)) return;
      units[name].result = "signal";
      SetState(name, "failed", "failed");
      FinishJob(name, "done");
    });
  }
}

bool Os::StopByHand(const std::string& name) {
  if (!on_ || !IsRunning(name)) return false;
  units[name].by_hand = true;
  BeginStop(name, [](auto) {});
  return true;
}

bool Os::StartByHand(const std::string& name) {
  if (!on_ || IsRunning(name) || !files.contains(name) || bus_down_) return false;
  units[name].by_hand = true;
  Start(name, [](auto) {});
  return true;
}

bool Os::Mask(const std::string& name) {
  if (!on_ || !files.contains(name)) return false;
  units[name].masked = units[name].by_hand = true;
  return true;
}

void Os::UnmaskAll() {
  for (auto& [name, unit] : units) unit.masked = false;
}

bool Os::Edit(const std::string& name) {
  const auto it = files.find(name);
  if (!on_ || it == files.end()) return false;
  units[name].by_hand = true;
  it->second.text += "# edited\n";
  return true;
}

bool Os::Crash(const std::string& name) {
  const auto it = units.find(name);
  if (!on_ || it == units.end() || it->second.active != "active" || it->second.job != 0) {
    return false;
  }
  it->second.result = "signal";
  it->second.by_hand = true;  // it stays failed, whatever is wanted
  SetState(name, "failed", "failed");
  return true;
}

void Os::SetBusDown(bool down) {
  if (std::exchange(bus_down_, down) == down) return;
  if (down) {
    for (auto& [name, unit] : units) {
      if (auto done = std::exchange(unit.job_done, nullptr)) {
        done(absl::UnavailableError("the connection to systemd is lost"));
      }
    }
    return;
  }
  if (listener_ == nullptr) return;
  queue_->After(kBus, [this, process = process_] {
    Process::Enter(process, [this] {
      if (listener_ != nullptr) listener_->OnResync();
    });
  });
}

}  // namespace fleet::sim
