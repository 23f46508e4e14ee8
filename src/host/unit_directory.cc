#include "host/unit_directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "host/posix_file.h"
#include "host/systemd/addresses.h"
#include "host/unit_note.h"

namespace fleet::host {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 255;

absl::Status CheckName(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kLongestName && name.front() != '.' &&
                    name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError("\"" + name + "\" cannot be the name of a unit's file");
}

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::vector<std::string> FileNames(const std::string& directory, std::error_code& error) {
  std::vector<std::string> names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> ReadOwn(const std::string& path) {
  constexpr size_t kLargest = 64U << 20U;
  return ReadWholeFile(path, kLargest, Links::kRefuse);
}

// Where systemd makes links for [Install], besides the directory itself.
bool IsDependencyDirectory(const std::string& name) {
  return name.ends_with(".wants") || name.ends_with(".requires") || name.ends_with(".upholds");
}

// Removes the links in a directory that point at one of `targets`, but for those in `kept`.
absl::Status RemoveLinksTo(const std::set<std::string>& targets, const std::string& directory,
                           const std::set<std::string>& kept) {
  std::error_code error;
  for (const std::string& name : FileNames(directory, error)) {
    const std::string path = fs::path(directory) / name;
    const fs::path target = fs::read_symlink(path, error);
    if (error) continue;  // no link, or gone meanwhile
    // systemd writes absolute links; relative ones begin where they lie.
    if (!targets.contains((fs::path(directory) / target).lexically_normal().string())) continue;
    if (!kept.contains(path)) RETURN_IF_ERROR(RemoveFile(path));
  }
  return absl::OkStatus();
}

void RemoveLeftovers(const std::string& directory) {
  std::error_code error;
  for (const std::string& name : FileNames(directory, error)) {
    if (!TemporaryFile::IsTemporaryName(name)) continue;
    if (const absl::Status status = RemoveFile(fs::path(directory) / name); !status.ok()) {
      log::Warning("{}", std::string(status.message()));
    }
  }
}

}  // namespace

std::string RuntimeLinkDirectory(bool user) {
  return user ? UserRuntimeDirectory() + "/systemd/user" : "/run/systemd/system";
}

FileUnitDirectory::FileUnitDirectory(std::string directory, std::string link_directory)
    : directory_(WithoutTrailingSlash(std::move(directory))),
      notes_(directory_ + "/.notes"),
      links_(WithoutTrailingSlash(std::move(link_directory))) {}

absl::Status FileUnitDirectory::Prepare() {
  RETURN_IF_ERROR(MakeDirectories(notes_));
  return MakeDirectories(links_);
}

absl::StatusOr<std::vector<InstalledUnit>> FileUnitDirectory::List() {
  for (const std::string& directory : {directory_, notes_, links_}) RemoveLeftovers(directory);
  std::error_code error;
  const std::vector<std::string> names = FileNames(notes_, error);
  if (error == std::errc::no_such_file_or_directory) return std::vector<InstalledUnit>();
  if (error) {
    return absl::ErrnoToStatus(error.value(), "cannot list the units installed in " + notes_);
  }
  std::vector<InstalledUnit> units;
  units.reserve(names.size());
  for (const std::string& name : names) {
    auto unit = Read(name);
    if (unit.ok()) {
      units.push_back(*std::move(unit));
    } else {
      log::Error("{} in {} is not taken for a unit of fleet: {}", name, directory_,
                 std::string(unit.status().message()));
    }
  }
  return units;
}

absl::StatusOr<InstalledUnit> FileUnitDirectory::Read(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::string raw, ReadOwn(NotePath(name)));
  auto note = ReadUnitNote(raw);
  if (!note.ok()) {
    return absl::Status(note.status().code(), "cannot read the note " + NotePath(name) + ": " +
                                                  std::string(note.status().message()));
  }
  auto text = ReadOwn(TextPath(name));
  // A crash between the note and the text, or while removing: it is to be seen, and cleared up.
  if (absl::IsNotFound(text.status())) text = std::string();
  RETURN_IF_ERROR(text.status());
  return InstalledUnit{name, *std::move(note), *std::move(text)};
}

absl::StatusOr<std::string> FileUnitDirectory::ReadText(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  return ReadOwn(TextPath(name));
}

absl::StatusOr<FileUnitDirectory::Link> FileUnitDirectory::LookAtLink(
    const std::string& name) const {
  const std::string path = LinkPath(name);
  ASSIGN_OR_RETURN(const auto status, FileStatus(path));
  if (!status) return Link::kAbsent;
  if (!S_ISLNK(status->st_mode)) {
    return absl::FailedPreconditionError(
        path + " is a file that fleet did not make: it stays, and " + name +
        " cannot be installed here. Remove the file, or give the unit another name");
  }
  ASSIGN_OR_RETURN(const std::string target, ReadLink(path));
  if (target == TextPath(name)) return Link::kRight;
  // The directory may be spelled in another way (/var/run is a link to /run).
  std::error_code error;
  const fs::path parent = fs::weakly_canonical((fs::path(links_) / target).parent_path(), error);
  if (!error && parent == fs::weakly_canonical(directory_, error) && !error) return Link::kOurs;
  return absl::FailedPreconditionError(
      path + " is a link to " + target + ", which fleet did not make: it stays, and " + name +
      " cannot be installed here. Remove the link, or give the unit another name");
}

absl::Status FileUnitDirectory::Install(const InstalledUnit& unit) {
  RETURN_IF_ERROR(CheckName(unit.name));
  RETURN_IF_ERROR(Prepare());
  ASSIGN_OR_RETURN(const Link link, LookAtLink(unit.name));
  ASSIGN_OR_RETURN(const auto links_before, FileStatus(links_));
  // Everything that takes space is made before the first name changes.
  std::optional<TemporaryFile> new_link;
  if (link != Link::kRight) {
    ASSIGN_OR_RETURN(new_link, TemporaryFile::Link(links_, TextPath(unit.name)));
  }
  ASSIGN_OR_RETURN(Staged staged, Stage(unit));
  RETURN_IF_ERROR(staged.note.Place(NotePath(unit.name)));
  if (staged.text) RETURN_IF_ERROR(staged.text->Place(TextPath(unit.name)));
  if (!new_link) return absl::OkStatus();
  RETURN_IF_ERROR(new_link->Place(LinkPath(unit.name), link == Link::kAbsent));
  return links_before ? EnsureModifiedAfter(links_, links_before->st_mtim) : absl::OkStatus();
}

absl::Status FileUnitDirectory::CheckInstall(const InstalledUnit& unit) {
  RETURN_IF_ERROR(CheckName(unit.name));
  RETURN_IF_ERROR(Prepare());
  RETURN_IF_ERROR(LookAtLink(unit.name).status());
  return Stage(unit).status();
}

absl::StatusOr<FileUnitDirectory::Staged> FileUnitDirectory::Stage(
    const InstalledUnit& unit) const {
  const std::string path = TextPath(unit.name);
  ASSIGN_OR_RETURN(const std::string note_text, WriteUnitNote(unit.note));
  ASSIGN_OR_RETURN(const auto before, FileStatus(path));
  std::optional<TemporaryFile> text;
  const bool same = before && S_ISREG(before->st_mode) &&
                    before->st_size == static_cast<off_t>(unit.text.size()) &&
                    ReadOwn(path).value_or("") == unit.text;
  if (!same) {
    ASSIGN_OR_RETURN(text, TemporaryFile::Write(directory_, unit.text));
    if (before) RETURN_IF_ERROR(EnsureModifiedAfter(text->path(), before->st_mtim));
  }
  ASSIGN_OR_RETURN(TemporaryFile note, TemporaryFile::Write(notes_, note_text));
  return Staged{std::move(text), std::move(note)};
}

absl::Status FileUnitDirectory::WriteNote(const std::string& name, const UnitNote& note) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(MakeDirectories(notes_));
  ASSIGN_OR_RETURN(const std::string text, WriteUnitNote(note));
  auto file = TemporaryFile::Write(notes_, text);
  if (file.ok()) return file->Place(NotePath(name));
  // That a unit is being stopped has to be noted on a full disk, too.
  return absl::IsResourceExhausted(file.status()) && Overwrite(NotePath(name), text).ok()
             ? absl::OkStatus()
             : file.status();
}

absl::Status FileUnitDirectory::Remove(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  const auto link = LookAtLink(name);
  if (link.ok() && *link != Link::kAbsent) {
    ASSIGN_OR_RETURN(const auto links_before, FileStatus(links_));
    RETURN_IF_ERROR(RemoveFile(LinkPath(name)));
    if (links_before) RETURN_IF_ERROR(EnsureModifiedAfter(links_, links_before->st_mtim));
  } else if (!link.ok() && !absl::IsFailedPrecondition(link.status())) {
    return link.status();
  }
  // Somebody else's file in the link's place is left alone: ours can go all the same.
  RETURN_IF_ERROR(RemoveFile(TextPath(name)));
  return RemoveFile(NotePath(name));
}

absl::Status FileUnitDirectory::RemoveInstallLinks(const std::vector<std::string>& names) {
  std::set<std::string> targets;
  std::set<std::string> own;
  for (const std::string& name : names) {
    RETURN_IF_ERROR(CheckName(name));
    targets.insert({TextPath(name), LinkPath(name)});
    own.insert(LinkPath(name));
  }
  RETURN_IF_ERROR(RemoveLinksTo(targets, links_, own));
  std::error_code error;
  for (const std::string& name : FileNames(links_, error)) {
    if (!IsDependencyDirectory(name)) continue;
    RETURN_IF_ERROR(RemoveLinksTo(targets, links_ + "/" + name, {}));
    fs::remove(links_ + "/" + name, error);  // only if it is empty now
  }
  return absl::OkStatus();
}

}  // namespace fleet::host
