#pragma once

// UnitDirectory on the file system:
//
//   DIRECTORY/NAME          the unit's text, byte for byte
//   DIRECTORY/.notes/NAME   what the agent remembers of it (unit_note.h)
//   LINKS/NAME              → DIRECTORY/NAME; LINKS is where systemd looks (/run/systemd/system)
//
// so that `systemctl is-enabled NAME` says linked-runtime. Owns what is in DIRECTORY; in LINKS only
// symbolic links into DIRECTORY are its own, and nothing else there is ever replaced or removed.
// Not synced to disk: both are on /run, and gone together with what runs.
//
// systemd notices changes by times of modification, and the kernel's are as coarse as its tick. So
// each change leaves a time later than the one before it, on the file and on LINKS; otherwise a
// unit linked within a tick of another's start would not be found, and a text changed within a tick
// of its loading would be stale. A text that stays the same is not written again.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "host/host.h"
#include "host/posix_file.h"

namespace fleet::host {

// Where units are linked at run time: /run/systemd/system, or the user's own directory.
std::string RuntimeLinkDirectory(bool user);

class FileUnitDirectory final : public UnitDirectory {
 public:
  // Both absolute. They are made, with their parents, when they are needed.
  FileUnitDirectory(std::string directory, std::string link_directory);

  // Also removes what a crash left half written.
  absl::StatusOr<std::vector<InstalledUnit>> List() override;

  absl::StatusOr<std::string> ReadText(const std::string& name) override;

  // INVALID_ARGUMENT if the name cannot be a file's; FAILED_PRECONDITION if somebody else's file or
  // link has the name, naming it; RESOURCE_EXHAUSTED if the disk is full. After an error everything
  // is as it was, unless the error came from the last renames.
  absl::Status Install(const InstalledUnit& unit) override;
  absl::Status CheckInstall(const InstalledUnit& unit) override;
  absl::Status WriteNote(const std::string& name, const UnitNote& note) override;
  absl::Status Remove(const std::string& name) override;
  absl::Status RemoveInstallLinks(const std::vector<std::string>& names) override;

 private:
  enum class Link { kAbsent, kRight, kOurs };  // kOurs: into the directory, though not as it should

  std::string TextPath(const std::string& name) const { return directory_ + "/" + name; }
  std::string NotePath(const std::string& name) const { return notes_ + "/" + name; }
  std::string LinkPath(const std::string& name) const { return links_ + "/" + name; }
  absl::Status Prepare();
  absl::StatusOr<Link> LookAtLink(const std::string& name) const;
  // A text and its note, written and not yet in place.
  struct Staged {
    std::optional<TemporaryFile> text;  // none if it is there already
    TemporaryFile note;
  };
  absl::StatusOr<Staged> Stage(const InstalledUnit& unit) const;
  absl::StatusOr<InstalledUnit> Read(const std::string& name) const;

  std::string directory_;
  std::string notes_;
  std::string links_;
};

}  // namespace fleet::host
