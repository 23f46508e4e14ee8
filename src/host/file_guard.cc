#include "host/file_guard.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status.h"
#include "host/guard_files.h"
#include "host/posix_file.h"

namespace fleet::host {

namespace {

namespace fs = std::filesystem;

// The guard answers within a millisecond or two, unless it is just being started again.
constexpr absl::Duration kFirstLook = absl::Milliseconds(5);
constexpr absl::Duration kPause = absl::Milliseconds(25);
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr char kDropIn[] = "50-fleet-guard.conf";

}  // namespace

FileGuard::FileGuard(std::string directory, std::string link_directory, Executor* executor)
    : directory_(std::move(directory)), links_(std::move(link_directory)), executor_(executor) {}

FileGuard::~FileGuard() {
  if (timer_ != 0) executor_->Cancel(timer_);
}

void FileGuard::Arm(GuardOrder order, Callback<std::set<std::string>> done) {
  done_ = std::move(done);
  id_ = RandomId();
  absl::Status written = Write(order);
  if (written.ok()) return Await(executor_->Now() + kPatience);
  timer_ = executor_->PostAfter(absl::ZeroDuration(), [this, written = std::move(written)] {
    timer_ = 0;
    Finish(absl::UnavailableError(absl::StrCat(
        "units with OnIsolation=stop need fleet-guard.service, which cannot be told of them: ",
        written.message())));
  });
}

absl::Status FileGuard::Write(const GuardOrder& order) {
  // Not made here: it is the guard's, and its absence says that there is no guard.
  ASSIGN_OR_RETURN(const auto directory, FileStatus(directory_));
  if (!directory)
    return absl::UnavailableError(directory_ + " does not exist, so it is not running");
  ASSIGN_OR_RETURN(const std::string text, WriteOrder({id_, order}));
  RETURN_IF_ERROR(SyncDropIns(order.units));
  return ReplaceFile(directory_, OrderPath(directory_), text);
}

// Before the guard is armed, thus before systemd reads the units: what it has read before it is
// told to read again.
absl::Status FileGuard::SyncDropIns(const std::set<std::string>& units) {
  if (!std::exchange(drop_ins_known_, true)) {
    std::error_code error;
    for (fs::directory_iterator it(links_, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.ends_with(".d") && fs::exists(it->path() / kDropIn, error)) {
        drop_ins_.insert(name.substr(0, name.size() - 2));
      }
    }
  }
  for (const std::string& unit : units) {
    if (drop_ins_.contains(unit)) continue;
    const std::string directory = absl::StrCat(links_, "/", unit, ".d");
    RETURN_IF_ERROR(MakeDirectories(directory));
    RETURN_IF_ERROR(ReplaceFile(
        directory, absl::StrCat(directory, "/", kDropIn),
        absl::StrCat("# OnIsolation=stop: not to be started while this machine is cut off.\n"
                     "[Unit]\nConditionPathExists=!",
                     GatePath(directory_), "\n")));
    drop_ins_.insert(unit);
  }
  for (auto it = drop_ins_.begin(); it != drop_ins_.end();) {
    if (units.contains(*it)) {
      ++it;
      continue;
    }
    const std::string directory = absl::StrCat(links_, "/", *it, ".d");
    RETURN_IF_ERROR(RemoveFile(absl::StrCat(directory, "/", kDropIn)));
    std::error_code error;
    fs::remove(directory, error);  // only if it is empty now
    it = drop_ins_.erase(it);
  }
  return absl::OkStatus();
}

void FileGuard::Await(absl::Time until) {
  const bool first = executor_->Now() + kPatience == until;
  timer_ = executor_->PostAfter(first ? kFirstLook : kPause, [this, until] {
    timer_ = 0;
    const auto text = ReadGuardFile(AnswerPath(directory_));
    if (text.ok()) {
      auto answer = ReadAnswer(*text);
      if (answer.ok() && answer->id == id_) return Finish(std::move(answer->stopped));
    }
    if (executor_->Now() < until) return Await(until);
    Finish(absl::UnavailableError(
        "units with OnIsolation=stop need fleet-guard.service, which does not answer"));
  });
}

void FileGuard::Finish(absl::StatusOr<std::set<std::string>> answer) {
  std::exchange(done_, nullptr)(std::move(answer));
}

}  // namespace fleet::host
