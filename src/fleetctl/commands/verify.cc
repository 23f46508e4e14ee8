#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/sources.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

int RunVerify(Session& session) {
  struct Verified {
    std::string path;
    std::string name;
    absl::Status status;
  };
  std::vector<Verified> files;
  Follows follows;
  for (const std::string& path : session.arguments()) {
    Verified file{
        .path = path, .name = WithDefaultSuffix(path.substr(path.rfind('/') + 1)), .status = {}};
    const auto content = ReadUnitFile(path);
    file.status = content.status();
    if (content.ok()) {
      const auto requirements =
          CheckUnit(file.name, *content, path, session.flags().On("force"), session.err());
      file.status = requirements.status();
      if (requirements.ok()) follows[file.name] = UnitsFollowed(*requirements);
    }
    files.push_back(std::move(file));
  }
  int code = kDone;
  for (const auto& [path, name, checked] : files) {
    const absl::Status status = checked.ok() ? CheckCircle(name, path, follows) : checked;
    if (status.ok()) {
      session.out() << path << ": ok\n";
      continue;
    }
    const int failed = session.Fail(status);
    if (code == kDone) code = failed;
  }
  return code;
}

}  // namespace

Command VerifyCommand() {
  return {.name = "verify",
          .summary = "Check unit files without a cluster",
          .arguments = "FILE…",
          .description =
              "As submit checks them: the name, the syntax, the [X-Fleet] section, and "
              "whether they follow\neach other in a circle.",
          .example = "  fleetctl verify ./hello.service",
          .flags = {{"force", 0, "", "", "only warn of unknown [X-Fleet] keys"}},
          .run = RunVerify,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
