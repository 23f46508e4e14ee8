#include "agent/content_cache.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "host/posix_file.h"

namespace fleet::agent {

DiskContentCache::DiskContentCache(std::string directory) : directory_(std::move(directory)) {}

std::shared_ptr<const UnitFile> DiskContentCache::Find(const std::string& hash) const {
  auto text =
      host::ReadWholeFile(directory_ + "/" + hash, UnitFile::kMaxBytes + 1, host::Links::kRefuse);
  if (!text.ok() || Sha256Hex(*text) != hash) return nullptr;
  auto file = UnitFile::Parse(*std::move(text));
  if (!file.ok()) return nullptr;
  return std::make_shared<const UnitFile>(*std::move(file));
}

void DiskContentCache::Store(const UnitFile& file) {
  absl::Status status = host::MakeDirectories(directory_);
  if (status.ok()) {
    auto temporary = host::TemporaryFile::Write(directory_, file.text());
    status = temporary.ok() ? temporary->Place(directory_ + "/" + file.hash(), /*only_new=*/false)
                            : temporary.status();
  }
  if (!status.ok()) {
    log::Warning("a unit's text is not cached, and will be fetched again: {}",
                 std::string(status.message()));
  }
}

void DiskContentCache::KeepOnly(const std::set<std::string>& hashes) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!hashes.contains(name)) std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace fleet::agent
