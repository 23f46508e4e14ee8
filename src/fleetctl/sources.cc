#include "fleetctl/sources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/glob.h"
#include "base/status.h"
#include "client/text.h"
#include "fleetctl/select.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

absl::Status BadFile(const std::string& path, std::string_view why) {
  return absl::InvalidArgumentError(Cat("unit file ", path, ": ", why));
}

// Reads `path`, or `path` with the default suffix; nullopt if neither exists.
absl::StatusOr<std::optional<std::pair<std::string, std::string>>> ReadIfPresent(
    const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const std::string full = directory + WithDefaultSuffix(path.substr(directory.size()));
  std::vector<std::string> candidates = {full};
  // A file without a suffix is read only where it is clearly meant as a file.
  if (full != path && !directory.empty()) candidates.push_back(path);
  for (const std::string& candidate : candidates) {
    auto content = ReadUnitFile(candidate);
    if (absl::IsNotFound(content.status())) continue;
    RETURN_IF_ERROR(content.status());
    return std::pair(candidate, *std::move(content));
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> ReadUnitFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(Cat("no file ", path));
    return BadFile(path, std::strerror(errno));
  }
  std::string content;
  absl::Status status = absl::OkStatus();
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) status = BadFile(path, "it is a directory");
  if (status.ok() && info.st_size > static_cast<off_t>(UnitFile::kMaxBytes))
    status =
        BadFile(path, Cat("it has ", info.st_size, " bytes, a unit at most ", UnitFile::kMaxBytes));
  while (status.ok()) {
    char bytes[16 << 10];
    const ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n == 0) break;
    if (n < 0) {
      if (errno != EINTR) status = BadFile(path, std::strerror(errno));
      continue;
    }
    content.append(bytes, static_cast<size_t>(n));
    if (content.size() > UnitFile::kMaxBytes)
      status = BadFile(path, Cat("it has more than ", UnitFile::kMaxBytes, " bytes"));
  }
  close(fd);
  RETURN_IF_ERROR(status);
  return content;
}

absl::StatusOr<Requirements> CheckUnit(const std::string& name, const std::string& content,
                                       const std::string& path, bool force, std::ostream& err) {
  const auto bad = [&](const absl::Status& status) { return BadFile(path, MessageOf(status)); };
  const auto unit_name = UnitName::Parse(name);
  if (!unit_name.ok()) return bad(unit_name.status());
  const auto file = UnitFile::Parse(content);
  if (!file.ok()) return bad(file.status());
  if (const absl::Status status = CheckForSubmit(*file, *unit_name, force); !status.ok())
    return bad(status);
  if (force) {
    if (const absl::Status status = CheckForSubmit(*file, *unit_name, false); !status.ok())
      err << "WARNING: " << path << ": " << MessageOf(status) << "\n";
  }
  auto requirements = ParseRequirements(*file, *unit_name);
  if (!requirements.ok()) return bad(requirements.status());
  return requirements;
}

absl::Status CheckCircle(const std::string& name, const std::string& path, const Follows& follows) {
  const auto of = [&](const std::string& unit) {
    const auto it = follows.find(unit);
    return it == follows.end() ? std::vector<Followed>() : it->second;
  };
  const absl::Status status = CheckFollowingEnds(name, of(name), of);
  return status.ok() ? status : BadFile(path, MessageOf(status));
}

absl::StatusOr<std::vector<Source>> FindSources(client::ApiClient& api,
                                                const std::vector<std::string>& words,
                                                const SourceOptions& options, std::ostream& err) {
  struct Named {
    std::string word;
    Source source;
  };
  std::vector<Named> named;
  std::vector<std::string> globs;
  std::set<std::string> seen;
  std::map<std::string, std::pair<std::string, std::string>> files;  // path and text, by unit
  std::vector<std::string> look_up;
  for (const std::string& word : words) {
    ASSIGN_OR_RETURN(auto file, ReadIfPresent(word));
    if (!file && IsGlob(word)) {
      named.push_back({.word = word, .source = {}});
      look_up.push_back(word);
      continue;
    }
    Source source{.name = WithDefaultSuffix(word.substr(DirectoryOf(word).size()))};
    if (file) {
      const auto& first = files.try_emplace(source.name, *file).first->second;
      if (first.second != file->second)
        return BadFile(file->first, Cat("it is another ", source.name, " than ", first.first));
    }
    if (!seen.insert(source.name).second) continue;
    const auto name = UnitName::Parse(source.name);
    if (!name.ok()) return name.status();
    if (options.start && name->is_template()) {
      return absl::InvalidArgumentError(Cat(source.name, " is a template, it cannot be ",
                                            options.verb, "ed itself: name an instance, as in ",
                                            name->prefix(), "@1.", name->suffix()));
    }
    if (file) {
      source.path = file->first;
      source.content = std::move(file->second);
    }
    if (!file || options.look_up) look_up.push_back(source.name);
    if (!file && name->is_instance()) look_up.push_back(name->TemplateName());
    named.push_back({.word = word, .source = std::move(source)});
  }

  std::map<std::string, client::Unit> registered;
  if (!look_up.empty()) {
    ASSIGN_OR_RETURN(const Selection selection, SelectUnits(api, look_up, !options.start));
    for (const client::Unit& unit : selection.units) registered[unit.name] = unit;
  }

  std::vector<Source> sources;
  Follows follows;
  for (Named& entry : named) {
    Source& source = entry.source;
    if (source.name.empty()) {
      bool any = false;
      for (const auto& [name, unit] : registered) {
        if (!GlobMatches(entry.word, name) || (options.start && IsTemplate(name))) continue;
        any = true;
        if (!seen.insert(name).second) continue;
        sources.push_back({.name = name, .global = unit.global, .registered = unit});
      }
      if (!any) return absl::NotFoundError(Cat("no registered unit matches ", entry.word));
      continue;
    }
    const auto unit = registered.find(source.name);
    if (unit != registered.end()) {
      source.registered = unit->second;
      source.global = unit->second.global;
    }
    if (!source.content && !source.registered) {
      ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(source.name));
      const auto in_registry =
          name.is_instance() ? registered.find(name.TemplateName()) : registered.end();
      if (in_registry != registered.end()) {
        source.global = in_registry->second.global;
      } else {
        std::string tried = Cat("no file ", DirectoryOf(entry.word), source.name);
        if (name.is_instance()) {
          ASSIGN_OR_RETURN(auto file, ReadIfPresent(DirectoryOf(entry.word) + name.TemplateName()));
          if (file) {
            source.path = file->first;
            source.content = std::move(file->second);
          }
          Append(tried, " or ", name.TemplateName());
        }
        if (!source.content) {
          return absl::NotFoundError(Cat("unit ", source.name,
                                         " not found: the registry does not have it and there is ",
                                         tried));
        }
      }
    }
    if (source.content) {
      ASSIGN_OR_RETURN(const Requirements requirements,
                       CheckUnit(source.name, *source.content, source.path, options.force, err));
      if (!source.registered) source.global = requirements.global;
      // One after the other, as the API takes them: the circle is that of the file that closes it.
      follows[source.name] = UnitsFollowed(requirements);
      RETURN_IF_ERROR(CheckCircle(source.name, source.path, follows));
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace fleet::fleetctl
