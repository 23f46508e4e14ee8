#include "fleetctl/journal_readers.h"

#include <algorithm>
#include <chrono>

#include "base/glob.h"
#include "client/clock.h"
#include "fleetctl/concurrent.h"

namespace fleet::fleetctl {
namespace {

constexpr std::chrono::seconds kBeforeAgain(1);
// So many lines that nobody has taken are kept; those who read wait.
constexpr size_t kMostKept = 10'000;

}  // namespace

JournalReaders::JournalReaders(client::ClientOptions options, const Settings& settings)
    : options_(ForThreads(std::move(options))), settings_(settings) {}

JournalReaders::~JournalReaders() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  // The one that adds others first.
  if (placements_.joinable()) placements_.join();
  for (auto& [where, reader] : readers_) reader.thread.join();
}

void JournalReaders::Add(const std::string& unit, const std::string& machine_id) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const auto [it, is_new] = readers_.try_emplace({unit, machine_id});
  Reader& reader = it->second;
  if (!is_new && reader.running) {
    reader.wanted = true;
    return;
  }
  if (reader.thread.joinable()) reader.thread.join();  // it has ended
  reader.running = true;
  ++running_;
  reader.thread =
      std::thread([this, unit, machine_id, &reader] { Read(unit, machine_id, reader); });
}

void JournalReaders::AddWherever(std::vector<std::string> names, std::vector<std::string> globs) {
  const std::lock_guard lock(mutex_);
  ++running_;
  placements_ = std::thread([this, names = std::move(names), globs = std::move(globs)] {
    FollowPlacements(names, globs);
    const std::lock_guard ended(mutex_);
    --running_;
    changed_.notify_all();
  });
}

std::optional<JournalReaders::Message> JournalReaders::Take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !messages_.empty() || running_ == 0; });
  if (messages_.empty()) return std::nullopt;
  Message message = std::move(messages_.front());
  messages_.pop_front();
  changed_.notify_all();
  return message;
}

void JournalReaders::Put(Message message) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return messages_.size() < kMostKept || stopping_; });
  messages_.push_back(std::move(message));
  changed_.notify_all();
}

bool JournalReaders::Pause() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, kBeforeAgain, [&] { return stopping_; });
}

bool JournalReaders::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void JournalReaders::Read(const std::string& unit, const std::string& machine_id, Reader& reader) {
  client::ApiClient api(options_);
  absl::Status ended;
  do {
    {
      const std::lock_guard lock(mutex_);
      reader.wanted = false;
    }
    ended = ReadOnce(api, unit, machine_id, reader);
  } while (GoesOn(reader, ended));
}

absl::Status JournalReaders::ReadOnce(client::ApiClient& api, const std::string& unit,
                                      const std::string& machine_id, Reader& reader) {
  const auto stream = api.OpenJournal({.unit = unit,
                                       .machine_id = machine_id,
                                       .lines = settings_.lines,
                                       .follow = settings_.follow,
                                       .after = reader.cursor});
  absl::Status ended = stream.status();
  while (ended.ok() && !stopping()) {
    auto entry = (*stream)->Next(client::MonotonicNow() + kLook);
    ended = entry.status();
    if (!entry.ok() || !*entry) continue;
    reader.told = false;
    Put({.unit = unit, .machine_id = machine_id, .entry = **std::move(entry), .error = {}});
  }
  if (stream.ok()) reader.cursor = (*stream)->cursor();
  // One that broke off goes on by itself, unless it was to end by itself.
  const bool worth_telling = !stream.ok() || !settings_.follow || absl::IsDataLoss(ended);
  if (worth_telling && !ended.ok() && !absl::IsOutOfRange(ended) &&
      !std::exchange(reader.told, true)) {
    Put({.unit = unit, .machine_id = machine_id, .entry = std::nullopt, .error = ended});
  }
  return ended;
}

bool JournalReaders::GoesOn(Reader& reader, const absl::Status& why) {
  std::unique_lock lock(mutex_);
  // One whose machine has gone is added again when the unit is there again.
  const bool again = absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why) ||
                     absl::IsDataLoss(why) || reader.wanted;
  if (settings_.follow && !absl::IsOutOfRange(why) && again &&
      !changed_.wait_for(lock, kBeforeAgain, [&] { return stopping_; })) {
    return true;
  }
  reader.running = false;
  --running_;
  changed_.notify_all();
  return false;
}

void JournalReaders::FollowPlacements(const std::vector<std::string>& names,
                                      const std::vector<std::string>& globs) {
  client::ApiClient api(options_);
  const auto is_meant = [&](const std::string& unit) {
    return std::find(names.begin(), names.end(), unit) != names.end() ||
           std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return GlobMatches(glob, unit); });
  };
  do {
    const auto stream = api.Watch({.units = true, .names = names, .globs = globs});
    absl::Status ended = stream.status();
    while (ended.ok() && !stopping()) {
      const auto event = (*stream)->Next(client::MonotonicNow() + kLook);
      ended = event.status();
      if (!event.ok() || !*event || (*event)->kind != client::WatchEvent::Kind::kUnit) continue;
      const client::Unit& unit = (*event)->unit;
      if (!is_meant(unit.name)) continue;
      if (!unit.target.empty()) Add(unit.name, unit.target);
      for (const client::UnitOnMachine& there : unit.machines) Add(unit.name, there.machine_id);
    }
  } while (Pause());
}

}  // namespace fleet::fleetctl
