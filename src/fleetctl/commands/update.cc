#include <algorithm>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/rolling.h"
#include "fleetctl/select.h"
#include "fleetctl/sources.h"

namespace fleet::fleetctl {
namespace {

using client::RolledUnit;

bool IsPath(const std::string& word) { return word.find('/') != std::string::npos; }

// Either each word is a file, of the unit that it is named after; or the last one has the text of
// the units that the others name.
absl::StatusOr<std::vector<RolledUnit>> FindTexts(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  const bool force = session.flags().On("force");
  std::vector<RolledUnit> texts;
  if (words.size() > 1 && IsPath(words.back()) &&
      std::none_of(words.begin(), words.end() - 1, IsPath)) {
    ASSIGN_OR_RETURN(const std::string content, ReadUnitFile(words.back()));
    for (auto word = words.begin(); word != words.end() - 1; ++word) {
      const std::string unit = NameFrom(*word);
      RETURN_IF_ERROR(CheckUnit(unit, content, words.back(), force, session.err()).status());
      texts.push_back({unit, content});
    }
    return texts;
  }
  ASSIGN_OR_RETURN(
      std::vector<Source> sources,
      FindSources(session.api(), words, {.verb = "update", .force = force}, session.err()));
  for (Source& source : sources) {
    if (!source.content) {
      return UsageError(
          Cat("update needs a file with the new text of ", source.name, ": name it last"));
    }
    texts.push_back({source.name, *std::move(source.content)});
  }
  return texts;
}

absl::StatusOr<int> Update(Session& session) {
  const Flags& flags = session.flags();
  ASSIGN_OR_RETURN(const WaitLimits limits, WaitLimitsFrom(flags));
  if (flags.On("pause-on-failure") && flags.On("rollback-on-failure"))
    return UsageError("--pause-on-failure and --rollback-on-failure exclude each other");
  ASSIGN_OR_RETURN(client::RolloutRequest request, RolloutRequestFrom(flags));
  ASSIGN_OR_RETURN(const std::vector<RolledUnit> texts, FindTexts(session));
  request.rolls_back = flags.On("rollback-on-failure");
  request.force = flags.On("force");
  return CarryRollout(session, "update", texts, request, limits);
}

int RunUpdate(Session& session) {
  const auto code = Update(session);
  return code.ok() ? *code : session.Fail(code.status());
}

std::vector<FlagSpec> UpdateFlags() {
  std::vector<FlagSpec> flags = WaitFlags();
  for (const FlagSpec& flag : RollingFlags()) flags.push_back(flag);
  for (const FlagSpec& flag : FailureFlags()) flags.push_back(flag);
  return flags;
}

}  // namespace

Command UpdateCommand() {
  return {
      .name = "update",
      .summary = "Bring a new text to a template's instances, a few at a time",
      .arguments = "TEMPLATE|UNIT… [FILE]",
      .description =
          "Each instance runs with the new text for HealthyAfter= before it counts, and no more "
          "than\n--max-unavailable, or MaxUnavailable= of the text, are down at once. The "
          "cluster carries it out,\nalso when this command ends early; \"fleetctl rollout\" shows "
          "and controls it. Instances whose\ntext is not their template's are left alone. "
          "Several are one rollout: --max-unavailable\nis of all of them together; without it the "
          "least MaxUnavailable= counts.",
      .example =
          "  fleetctl update ./web@.service --max-unavailable=2\n"
          "  fleetctl update ./api@.service ./web@.service --max-unavailable=10%\n"
          "  fleetctl update db.service ./db-2.service --rollback-on-failure",
      .flags = UpdateFlags(),
      .run = RunUpdate,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
