#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/sources.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

int RunVerify(Session& session) {
  int code = kDone;
  for (const std::string& path : session.arguments()) {
    const auto content = ReadUnitFile(path);
    absl::Status status = content.status();
    if (status.ok()) {
      const std::string name = WithDefaultSuffix(path.substr(path.rfind('/') + 1));
      status = CheckUnit(name, *content, path, session.flags().On("force"), session.err()).status();
    }
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
          .description = "As submit checks them: the name, the syntax and the [X-Fleet] section.",
          .example = "  fleetctl verify ./hello.service",
          .flags = {{"force", 0, "", "", "only warn of unknown [X-Fleet] keys"}},
          .run = RunVerify,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
