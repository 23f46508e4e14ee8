#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

int RunCat(Session& session) {
  int code = kDone;
  for (const std::string& word : session.arguments()) {
    const std::string name = WithDefaultSuffix(word);
    const auto unit = session.api().GetUnit(name);
    if (unit.ok()) {
      session.out() << unit->content;
      continue;
    }
    const int failed = absl::IsNotFound(unit.status())
                           ? session.Fail(absl::NotFoundError(
                                 Cat("unit ", name, " not found: the registry does not have it")))
                           : session.Fail(unit.status());
    if (code == kDone) code = failed;
  }
  return code;
}

}  // namespace

Command CatCommand() {
  return {.name = "cat",
          .summary = "Print a unit's text as it was submitted",
          .arguments = "NAME…",
          .description = "",
          .example = "  fleetctl cat hello.service > hello.service",
          .flags = {},
          .run = RunCat,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
