#include "fleetd/daemon.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "agent/content_cache.h"
#include "agent/identity.h"
#include "api/api.h"
#include "api/server.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/status.h"
#include "engine/engine_metrics.h"
#include "fleetd/engine_settings.h"
#include "fleetd/member.h"
#include "fleetd/memory.h"
#include "fleetd/record.h"
#include "fleetd/signals.h"
#include "fmt/core.h"
#include "fmt/format.h"
#include "host/file_guard.h"
#include "host/guard_files.h"
#include "host/host.h"
#include "host/journal.h"
#include "host/journal_process.h"
#include "host/lock_id.h"
#include "host/logind.h"
#include "host/metered_systemd.h"
#include "host/notify.h"
#include "host/own_job.h"
#include "host/systemd/systemd_bus.h"
#include "host/unit_directory.h"
#include "store/embedded/embedded_store.h"
#include "store/etcd/etcd_store.h"
#include "store/metered_store.h"

namespace fleet::fleetd {

namespace {

// A stop that takes longer after its units have stopped ends all the same.
constexpr absl::Duration kGoodbyeLimit = absl::Seconds(8);
constexpr absl::Duration kCauseInterval = absl::Milliseconds(200);
// By then a start is over: what it alone has used can go.
constexpr absl::Duration kSettled = absl::Seconds(5);

// A value that one loop writes and another one reads.
template <typename T>
class Shared {
 public:
  void Set(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  T Get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

store::EtcdTlsFiles EtcdTlsFilesOf(const Config& config) {
  return {config.etcd_cafile, config.etcd_certfile, config.etcd_keyfile};
}

absl::StatusOr<std::unique_ptr<store::Store>> OpenStore(
    const Config& config, std::function<store::EtcdTlsFiles()> tls_files, Executor* executor) {
  if (config.etcd_servers.empty()) {
    const std::string path = config.state_directory + "registry.db";
    log::Info("the registry is embedded, in {}: this is a single machine", path);
    return store::MakeEmbeddedStore(path, executor);
  }
  log::Info("the registry is etcd at {}, below {}", fmt::join(config.etcd_servers, ", "),
            config.etcd_key_prefix);
  return store::MakeEtcdStore({.endpoints = config.etcd_servers,
                               .request_timeout = config.etcd_request_timeout,
                               .tls_files = std::move(tls_files),
                               .username = config.etcd_username,
                               .password = config.etcd_password},
                              executor);
}

class ProcessReader final : public api::JournalReader {
 public:
  explicit ProcessReader(std::unique_ptr<host::JournalProcess> process)
      : process_(std::move(process)) {}
  int descriptor() const override { return process_->descriptor(); }
  std::optional<absl::Status> Ended() override { return process_->Ended(); }

 private:
  std::unique_ptr<host::JournalProcess> process_;
};

absl::StatusOr<std::unique_ptr<api::JournalReader>> OpenJournalOf(
    const api::JournalRequest& request, bool user) {
  ASSIGN_OR_RETURN(auto process, host::JournalProcess::Start({.unit = request.unit,
                                                              .user = user,
                                                              .lines = request.lines,
                                                              .follow = request.follow,
                                                              .after = request.after}));
  return std::make_unique<ProcessReader>(std::move(process));
}

}  // namespace

class Daemon::Impl {
 public:
  Impl(LoadedConfig config, absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread)
      : config_(std::move(config.config)),
        reread_(std::move(reread)),
        keys_(config_.etcd_key_prefix) {
    for (const std::string& notice : config.notices) log::Warning("{}", notice);
  }

  absl::Status Run() {
    RETURN_IF_ERROR(Open());
    StartThreads();
    machine_loop_.Run();
    StopThreads();
    return absl::OkStatus();
  }

 private:
  absl::Status Open();
  absl::Status OpenApi();
  void OpenMember();
  void StartThreads();
  void StopThreads();
  void UpdateUnavailableCause();
  void OnSignal(int signal);
  void Stop();
  void OnShutdown();
  void OnShutdownCancelled();
  void Finish();
  void Reload();
  void ReloadTls(const Config& config);
  void LogState();
  void PingWatchdog();

  Config config_;
  absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread_;
  const registry::Keys keys_;
  host::MachineFacts facts_;
  agent::Identity identity_;

  Shared<store::EtcdTlsFiles> etcd_tls_files_;

  // Counted in all loops, read in the API's.
  metrics::Registry metrics_;
  store::StoreMetrics store_metrics_{metrics_};
  host::SystemdMetrics systemd_metrics_{metrics_};
  engine::EngineMetrics engine_metrics_{metrics_};

  // The loops come first: what lives in them is destroyed before them.
  Loop machine_loop_{"machine"};
  Loop lease_loop_{"lease"};
  Loop engine_loop_{"engine"};
  std::thread lease_thread_;
  std::thread engine_thread_;

  // Machine loop.
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<store::Store> machine_store_;
  std::unique_ptr<host::Systemd> systemd_;
  std::unique_ptr<host::UnitDirectory> units_;
  std::unique_ptr<host::Journal> journal_;
  std::unique_ptr<agent::ContentCache> contents_;
  std::unique_ptr<host::Guard> guard_;
  std::unique_ptr<host::ShutdownDelay> shutdown_;
  bool left_for_shutdown_ = false;
  bool stopping_ = false;
  bool left_ = false;  // its units have stopped
  bool finishing_ = false;

  // Handles of their own for the other loops.
  std::unique_ptr<store::Store> lease_store_;
  std::unique_ptr<store::Store> engine_store_;

  std::unique_ptr<Member> member_;  // in all three

  // API loop.
  api::Server server_;
  std::unique_ptr<store::Store> api_store_;
  std::unique_ptr<api::Api> api_;
  Shared<std::string> unavailable_cause_;
  Shared<std::string> lease_failure_;
};

absl::Status Daemon::Impl::Open() {
  ASSIGN_OR_RETURN(signals_,
                   Signals::Watch(&machine_loop_, [this](int signal) { OnSignal(signal); }));
  ASSIGN_OR_RETURN(facts_, host::ReadMachineFacts());
  ASSIGN_OR_RETURN(identity_, agent::LoadIdentity(config_.state_directory));
  etcd_tls_files_.Set(EtcdTlsFilesOf(config_));
  ASSIGN_OR_RETURN(machine_store_,
                   OpenStore(
                       config_, [this] { return etcd_tls_files_.Get(); }, &machine_loop_));
  machine_store_ = store::MeterStore(std::move(machine_store_), &machine_loop_, &store_metrics_);
  lease_store_ = machine_store_->Bind(&lease_loop_);
  engine_store_ = machine_store_->Bind(&engine_loop_);
  api_store_ = machine_store_->Bind(&server_.executor());
  RETURN_IF_ERROR(OpenApi());

  systemd_ = host::MeterSystemd(host::OpenSystemd({.user = config_.systemd_user}, &machine_loop_),
                                &machine_loop_, &systemd_metrics_);
  units_ = std::make_unique<host::FileUnitDirectory>(
      config_.units_directory, host::RuntimeLinkDirectory(config_.systemd_user));
  journal_ = host::OpenJournal({.user = config_.systemd_user});
  contents_ = std::make_unique<agent::DiskContentCache>(config_.state_directory + "contents");
  if (!config_.systemd_user) {
    guard_ = std::make_unique<host::FileGuard>(
        host::kGuardDirectory, host::RuntimeLinkDirectory(/*user=*/false), &machine_loop_);
  }
  OpenMember();
  RETURN_IF_ERROR(member_->Start());
  if (!config_.systemd_user) {
    shutdown_ = host::DelayShutdown(
        &machine_loop_,
        {.on_shutdown = [this] { OnShutdown(); }, .on_cancel = [this] { OnShutdownCancelled(); }});
  }
  return absl::OkStatus();
}

absl::Status Daemon::Impl::OpenApi() {
  for (const host::PassedSocket& socket : host::PassedSockets()) {
    RETURN_IF_ERROR(server_.Adopt(socket.fd));
  }
  std::optional<api::TlsFiles> tls;
  if (!config_.listen_certfile.empty()) {
    tls = api::TlsFiles{config_.listen_cafile, config_.listen_certfile, config_.listen_keyfile};
  }
  for (const ListenAddress& address : config_.listen) {
    if (!tls && !IsLoopback(address)) {
      log::Warning("the API listens at {} without encryption and for everybody (listen_insecure)",
                   ToString(address));
    }
    ASSIGN_OR_RETURN(const uint16_t port, server_.Listen(ToString(address), tls));
    log::Info("the API listens at {}:{}", address.host, port);
  }
  unavailable_cause_.Set("it has not been reached yet");
  api_ = std::make_unique<api::Api>(api::ApiContext{
      .executor = &server_.executor(),
      .store = api_store_.get(),
      .keys = keys_,
      .version = FLEET_VERSION,
      .machine_id = facts_.machine_id,
      .token_limit = static_cast<size_t>(config_.token_limit),
      .unavailable_cause = [this] { return unavailable_cause_.Get(); },
      .settings = EngineSettingsOf(config_),
      .metrics = &metrics_,
      .open_journal = [user = config_.systemd_user](
                          const auto& request) { return OpenJournalOf(request, user); },
      .streams = &server_.streams()});
  return absl::OkStatus();
}

void Daemon::Impl::OpenMember() {
  MemberListener listener;
  listener.on_view = [this](const ViewChange& change) {
    server_.executor().Post([this, change] { api_->OnViewChange(change); });
  };
  listener.on_registry_health = [this](const absl::Status& health) {
    server_.executor().Post([this, health] { api_->OnRegistryHealth(health); });
  };
  listener.on_joined = [this] { machine_loop_.PostAfter(kSettled, [] { TrimStartupMemory(); }); };
  listener.on_lease_failure = [this](const std::string& why) { lease_failure_.Set(why); };
  MachineRecord record = MakeMachineRecord(config_, facts_, identity_.token);
  record.lock_id = host::LockIdOf(facts_.machine_id);
  member_ = std::make_unique<Member>(
      MemberDeps{.machine_loop = &machine_loop_,
                 .lease_loop = &lease_loop_,
                 .engine_loop = &engine_loop_,
                 .machine_store = machine_store_.get(),
                 .lease_store = lease_store_.get(),
                 .engine_store = engine_store_.get(),
                 .systemd = systemd_.get(),
                 .units = units_.get(),
                 .journal = journal_.get(),
                 .contents = contents_.get(),
                 .guard = guard_.get(),
                 .save_identity =
                     [this](const agent::Identity& identity) {
                       return agent::SaveIdentity(config_.state_directory, identity);
                     }},
      keys_,
      MemberSettings{.machine_id = facts_.machine_id,
                     .agent_ttl = config_.agent_ttl,
                     .engine_ttl = config_.engine_ttl,
                     .disable_engine = config_.disable_engine,
                     .isolation_stop_timeout = config_.isolation_stop_timeout,
                     .restores_drift = config_.drift == Drift::kRestore,
                     .engine = {.machine_id = facts_.machine_id,
                                .settings = EngineSettingsOf(config_),
                                .sweep_interval = config_.engine_reconcile_interval,
                                .events_max = static_cast<size_t>(config_.events_max),
                                .metrics = &engine_metrics_}},
      std::move(record), identity_, std::move(listener));
}

void Daemon::Impl::StartThreads() {
  server_.Start(api_.get());
  lease_thread_ = std::thread([this] { lease_loop_.Run(); });
  engine_thread_ = std::thread([this] { engine_loop_.Run(); });
  machine_loop_.Post([this] {
    UpdateUnavailableCause();
    PingWatchdog();
    host::NotifyReady(fmt::format("machine {}", facts_.machine_id));
    log::Info("fleetd {} is ready on machine {}", FLEET_VERSION, facts_.machine_id);
  });
}

// What lives in a loop ends in it; the store's last handle goes last.
void Daemon::Impl::StopThreads() {
  server_.Stop();
  engine_loop_.Post([this] {
    member_->CloseEngineLoop();
    engine_store_.reset();
    engine_loop_.Stop();
  });
  lease_loop_.Post([this] {
    member_->CloseLeaseLoop();
    lease_store_.reset();
    lease_loop_.Stop();
  });
  engine_thread_.join();
  lease_thread_.join();
  api_.reset();
  api_store_.reset();
  member_.reset();
  shutdown_.reset();
  systemd_.reset();
  machine_store_.reset();
}

// Why there is nothing to show yet, kept up to date until there is.
void Daemon::Impl::UpdateUnavailableCause() {
  const absl::Status membership = member_->agent().membership_status();
  if (membership.ok()) return;
  const std::string lease_failure = lease_failure_.Get();
  if (!absl::IsUnavailable(membership)) {
    unavailable_cause_.Set(std::string(membership.message()));
  } else if (!lease_failure.empty()) {
    unavailable_cause_.Set(lease_failure);
  } else {
    engine_loop_.Post([this, membership] {
      const absl::Status health = member_->RegistryHealth();
      unavailable_cause_.Set(std::string((health.ok() ? membership : health).message()));
    });
  }
  machine_loop_.PostAfter(kCauseInterval, [this] { UpdateUnavailableCause(); });
}

void Daemon::Impl::PingWatchdog() {
  const absl::Duration interval = host::WatchdogInterval();
  if (interval == absl::InfiniteDuration()) return;
  host::NotifyWatchdog();
  machine_loop_.PostAfter(interval, [this] { PingWatchdog(); });
}

void Daemon::Impl::OnSignal(int signal) {
  switch (signal) {
    case SIGHUP:
      Reload();
      break;
    case SIGUSR1:
      LogState();
      break;
    default:
      Stop();
  }
}

void Daemon::Impl::Stop() {
  if (std::exchange(stopping_, true)) return;
  const auto job = host::FindOwnJob(config_.systemd_user);
  const bool leaves = job.ok() && (*job == host::OwnJob::kStop || *job == host::OwnJob::kShutdown);
  if (!job.ok()) {
    log::Warning("systemd does not say why fleetd is stopped, so its units are kept: {}",
                 std::string(job.status().message()));
  }
  host::NotifyStopping(leaves ? "leaving the cluster" : "units keep running");
  log::Info("fleetd is stopping; {}",
            leaves ? "its units are stopped and may move" : "its units keep running");
  if (leaves) {
    machine_loop_.PostAfter(config_.leave_timeout, [this] {
      if (finishing_ || left_) return;
      // The lease is kept: what still runs here must not be started elsewhere.
      log::Warning("units have not stopped within leave_timeout ({}); waiting until they have",
                   DurationText(config_.leave_timeout));
    });
  } else {
    machine_loop_.PostAfter(kGoodbyeLimit, [this] { Finish(); });
  }
  member_->Stop(
      leaves,
      [this] {
        left_ = true;
        machine_loop_.PostAfter(kGoodbyeLimit, [this] { Finish(); });
      },
      [this] { Finish(); });
}

// The machine is about to go down, and waits: its units move while everything still works here. The
// stop that follows finds nothing left to do.
void Daemon::Impl::OnShutdown() {
  if (stopping_ || std::exchange(left_for_shutdown_, true)) return;
  host::NotifyStatus("the machine goes down: leaving the cluster");
  log::Info("this machine goes down; its units are stopped and may move");
  member_->Vacate([this] { shutdown_->Release(); });
}

// It has left, and joins again as after any other start.
void Daemon::Impl::OnShutdownCancelled() {
  if (!left_for_shutdown_ || stopping_) return;
  log::Info("the shutdown of this machine was given up; fleetd starts anew");
  Finish();
}

void Daemon::Impl::Finish() {
  if (std::exchange(finishing_, true)) return;
  machine_loop_.Stop();
}

void Daemon::Impl::Reload() {
  log::Info("Reloading configuration");
  host::NotifyReloading();
  auto reread = reread_();
  if (!reread.ok()) {
    log::Error("the configuration stays as it was: {}", std::string(reread.status().message()));
  } else {
    for (const std::string& key : KeysThatNeedARestart(config_, reread->config)) {
      log::Warning("{} has changed and takes effect when fleetd is restarted", key);
    }
    config_.verbosity = reread->config.verbosity;
    log::SetLevel(config_.verbosity > 0 ? log::Level::kDebug : log::Level::kInfo);
    config_.metadata = reread->config.metadata;
    config_.capacity_cpu = reread->config.capacity_cpu;
    config_.capacity_memory = reread->config.capacity_memory;
    config_.reserved_cpu = reread->config.reserved_cpu;
    config_.reserved_memory = reread->config.reserved_memory;
    member_->agent().SetRecord(Reconfigured(member_->agent().record(), config_, facts_));
    ReloadTls(reread->config);
  }
  host::NotifyReady(fmt::format("machine {}", facts_.machine_id));
}

// Of the API and of etcd. A set of files that cannot be used leaves the former one in effect.
void Daemon::Impl::ReloadTls(const Config& config) {
  const bool encrypts = !config.listen_certfile.empty();
  if (encrypts != !config_.listen_certfile.empty()) {
    log::Warning("listen_certfile has changed and takes effect when fleetd is restarted");
  } else if (encrypts) {
    const api::TlsFiles files = {config.listen_cafile, config.listen_certfile,
                                 config.listen_keyfile};
    const absl::Status tls = server_.ReloadTls(files);
    if (!tls.ok()) log::Error("the API keeps its certificates: {}", std::string(tls.message()));
  }
  const store::EtcdTlsFiles files = EtcdTlsFilesOf(config);
  if (const absl::Status usable = store::CheckEtcdTlsFiles(files); !usable.ok()) {
    log::Error("etcd's certificates stay as they were: {}", std::string(usable.message()));
    return;
  }
  etcd_tls_files_.Set(files);
}

void Daemon::Impl::LogState() {
  log::Info("agent {}", member_->agent().DebugJson());
  engine_loop_.Post([this] {
    if (!config_.disable_engine) log::Info("engine {}", member_->EngineDebugJson());
  });
}

Daemon::Daemon(LoadedConfig config, absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(reread))) {}
Daemon::~Daemon() = default;
absl::Status Daemon::Run() { return impl_->Run(); }

}  // namespace fleet::fleetd
