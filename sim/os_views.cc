// fleetd's side of a simulated operating system. See os.h.

#include <utility>
#include <vector>

#include "sim/os.h"

namespace fleet::sim {

namespace {

constexpr absl::Duration kBus = absl::Microseconds(200);
constexpr absl::Duration kReload = absl::Milliseconds(50);

class BusSystemd final : public host::Systemd {
 public:
  BusSystemd(Os* os, Process* process) : os_(os), process_(process) {}
  ~BusSystemd() override { os_->SetListener(nullptr, nullptr); }

  void SetListener(Listener* listener) override { os_->SetListener(listener, process_->handle()); }

  void Start(const std::string& unit, host::JobCallback done) override {
    Call([os = os_, unit](auto answer) { os->Start(unit, answer); }, std::move(done));
  }
  void Stop(const std::string& unit, host::JobCallback done) override {
    Call([os = os_, unit](auto answer) { os->Stop(unit, answer); }, std::move(done));
  }
  void ResetFailed(const std::string& unit, host::DoneCallback done) override {
    Ask([this, unit, done = std::move(done)](const absl::Status& reached) mutable {
      if (!reached.ok()) return done(reached);
      const auto it = os_->units.find(unit);
      if (it != os_->units.end() && it->second.active == "failed") {
        it->second.active = "inactive";
        it->second.sub = "dead";
      }
      done(absl::OkStatus());
    });
  }
  void Reload(host::DoneCallback done) override {
    Ask(
        [this, done = std::move(done)](const absl::Status& reached) mutable {
          if (!reached.ok()) return done(reached);
          for (auto& [name, unit] : os_->units) {
            const auto file = os_->files.find(name);
            if (file != os_->files.end()) unit.loaded_text = file->second.text;
          }
          done(absl::OkStatus());
        },
        kReload);
  }
  void Enable(std::vector<std::string>, host::DoneCallback done) override {
    Ask([done = std::move(done)](const absl::Status& reached) mutable { done(reached); });
  }
  void ListUnits(host::Callback<std::vector<host::UnitStatus>> done) override {
    Ask([this, done = std::move(done)](const absl::Status& reached) mutable {
      if (!reached.ok()) return done(reached);
      std::vector<host::UnitStatus> all;
      for (const auto& [name, unit] : os_->units) {
        if (unit.active != "inactive") all.push_back(os_->StatusOf(name));
      }
      done(std::move(all));
    });
  }
  void GetUnit(const std::string& unit, host::Callback<host::UnitStatus> done) override {
    Ask([this, unit, done = std::move(done)](const absl::Status& reached) mutable {
      if (!reached.ok()) return done(reached);
      done(os_->StatusOf(unit));
    });
  }
  void NeedsReload(const std::string& unit, host::Callback<bool> done) override {
    Ask([this, unit, done = std::move(done)](const absl::Status& reached) mutable {
      if (!reached.ok()) return done(reached);
      const auto file = os_->files.find(unit);
      const auto it = os_->units.find(unit);
      done(file != os_->files.end() && it != os_->units.end() && os_->IsRunning(unit) &&
           it->second.loaded_text != file->second.text);
    });
  }
  void GetResult(const std::string& unit, host::Callback<std::string> done) override {
    Ask([this, unit, done = std::move(done)](const absl::Status& reached) mutable {
      if (!reached.ok()) return done(reached);
      const auto it = os_->units.find(unit);
      done(it == os_->units.end() ? std::string("success") : it->second.result);
    });
  }

 private:
  // A method that is answered at once, but for the time that it takes.
  template <typename Method>
  void Ask(Method method, absl::Duration takes = kBus) {
    process_->Deliver(takes, [this, method = std::move(method)]() mutable {
      method(os_->bus_down() ? absl::UnavailableError("systemd is not reached") : absl::OkStatus());
    });
  }
  // A job: its answer comes when it has ended.
  template <typename Method>
  void Call(Method method, host::JobCallback done) {
    auto shared = std::make_shared<host::JobCallback>(std::move(done));
    auto answer = [queue = &os_->queue(), process = process_->handle(),
                   shared](absl::StatusOr<std::string> result) {
      queue->After(kBus, [process, shared, result = std::move(result)]() mutable {
        Process::Enter(process, [shared, result = std::move(result)]() mutable {
          if (*shared) std::exchange(*shared, nullptr)(std::move(result));
        });
      });
    };
    // systemd does what it was asked for even if fleetd dies meanwhile.
    os_->queue().After(kBus, [os = os_, method = std::move(method), answer] {
      if (os->on()) method(answer);
    });
  }

  Os* const os_;
  Process* const process_;
};

class RunDirectory final : public host::UnitDirectory {
 public:
  explicit RunDirectory(Os* os) : os_(os) {}

  absl::StatusOr<std::vector<host::InstalledUnit>> List() override {
    std::vector<host::InstalledUnit> all;
    all.reserve(os_->files.size());
    for (const auto& [name, unit] : os_->files) all.push_back(unit);
    return all;
  }
  absl::Status Install(const host::InstalledUnit& unit) override {
    return Write([&] { os_->files[unit.name] = unit; });
  }
  absl::Status CheckInstall(const host::InstalledUnit&) override {
    return Write([] {});
  }
  absl::Status WriteNote(const std::string& name, const host::UnitNote& note) override {
    const auto it = os_->files.find(name);
    if (it == os_->files.end()) return Write([] {});
    // One that is there is written over, which takes no space.
    MayDie();
    it->second.note = note;
    MayDie();
    return absl::OkStatus();
  }
  absl::Status Remove(const std::string& name) override {
    MayDie();
    os_->files.erase(name);
    const auto it = os_->units.find(name);
    if (it != os_->units.end() && !os_->IsRunning(name) && it->second.job == 0 &&
        !it->second.masked) {
      os_->units.erase(it);
    }
    MayDie();
    return absl::OkStatus();
  }
  absl::Status RemoveInstallLinks(const std::vector<std::string>&) override {
    return absl::OkStatus();
  }

 private:
  template <typename Change>
  absl::Status Write(Change change) {
    if (os_->disk_full) return absl::ResourceExhaustedError("no space left on device");
    MayDie();
    change();
    MayDie();
    return absl::OkStatus();
  }
  void MayDie() {
    if (os_->kill_at_write == 0 || !os_->random().Chance(os_->kill_at_write)) return;
    throw Killed();
  }

  Os* const os_;
};

class NoJournal final : public host::Journal {
 public:
  std::string Tail(const std::string&, int) override { return ""; }
};

class DiskCache final : public agent::ContentCache {
 public:
  explicit DiskCache(Os* os) : os_(os) {}
  std::shared_ptr<const UnitFile> Find(const std::string& hash) const override {
    const auto it = os_->contents.find(hash);
    if (it == os_->contents.end()) return nullptr;
    auto file = UnitFile::Parse(it->second);
    return file.ok() ? std::make_shared<const UnitFile>(*std::move(file)) : nullptr;
  }
  void Store(const UnitFile& file) override {
    if (!os_->disk_full) os_->contents[file.hash()] = file.text();
  }
  void KeepOnly(const std::set<std::string>& hashes) override {
    std::erase_if(os_->contents, [&](const auto& entry) { return !hashes.contains(entry.first); });
  }

 private:
  Os* const os_;
};

class LocalGuard final : public host::Guard {
 public:
  LocalGuard(Os* os, Process* process, const Clock* clock)
      : os_(os), process_(process), clock_(clock) {}
  void Arm(host::GuardOrder order, host::Callback<std::set<std::string>> done) override {
    // The guard has it even if fleetd dies meanwhile.
    os_->queue().After(kBus, [os = os_, clock = clock_, order = std::move(order),
                              process = process_->handle(), done = std::move(done)]() mutable {
      if (!os->on()) return;
      os->ForgetGuardedStops(order.noted);
      os->Guard(order, *clock);
      Process::Enter(process, [stopped = os->guarded_stops(), done = std::move(done)]() mutable {
        done(stopped);
      });
    });
  }

 private:
  Os* const os_;
  Process* const process_;
  const Clock* const clock_;
};

}  // namespace

std::unique_ptr<host::Systemd> ConnectSystemd(Os* os, Process* process) {
  return std::make_unique<BusSystemd>(os, process);
}
std::unique_ptr<host::UnitDirectory> OpenUnitDirectory(Os* os) {
  return std::make_unique<RunDirectory>(os);
}
std::unique_ptr<host::Journal> OpenJournal() { return std::make_unique<NoJournal>(); }
std::unique_ptr<agent::ContentCache> OpenContentCache(Os* os) {
  return std::make_unique<DiskCache>(os);
}
std::unique_ptr<host::Guard> OpenGuard(Os* os, Process* process, const Clock* clock) {
  return std::make_unique<LocalGuard>(os, process, clock);
}

}  // namespace fleet::sim
