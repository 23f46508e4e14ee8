#include <algorithm>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/remote.h"
#include "nlohmann/json.hpp"

namespace fleet::fleetctl {
namespace {

// "key=value" sets, "key-" removes.
absl::StatusOr<client::MetadataChange> ChangeFrom(const std::string& machine,
                                                  const std::string& word) {
  const size_t equals = word.find('=');
  if (equals != std::string::npos && equals > 0) {
    if (equals + 1 == word.size()) {
      return UsageError(
          Cat("\"", word, "\" sets nothing: \"", word.substr(0, equals), "-\" removes the key"));
    }
    return client::MetadataChange{
        .machine_id = machine, .key = word.substr(0, equals), .value = word.substr(equals + 1)};
  }
  if (equals == std::string::npos && word.size() > 1 && word.ends_with('-')) {
    return client::MetadataChange{.machine_id = machine, .key = word.substr(0, word.size() - 1)};
  }
  return UsageError(
      Cat("\"", word, "\" is neither key=value, which sets, nor key-, which removes"));
}

absl::StatusOr<int> Metadata(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  std::vector<client::MetadataChange> changes;
  for (auto word = words.begin() + 1; word != words.end(); ++word) {
    ASSIGN_OR_RETURN(changes.emplace_back(), ChangeFrom("", *word));
  }
  ASSIGN_OR_RETURN(const std::string machine, FindMachineEvenAway(session, words[0]));
  if (!changes.empty()) {
    for (client::MetadataChange& change : changes) change.machine_id = machine;
    RETURN_IF_ERROR(session.api().PatchMetadata(changes));
  }
  ASSIGN_OR_RETURN(const auto machines,
                   session.api().ListMachines(/*keep_json=*/false, /*absent=*/true));
  const auto found = std::find_if(machines.begin(), machines.end(),
                                  [&](const auto& there) { return there.id == machine; });
  if (found == machines.end()) return kDone;  // away, and nothing of it is set
  const std::string format = session.flags().Text("output");
  if (HasEntities(format)) {
    const nlohmann::json entity = {{"id", machine}, {"metadata", found->metadata}};
    session.out() << RenderEntities({entity.dump()}, format, /*as_list=*/false);
    return kDone;
  }
  if (format == "name") {
    session.out() << machine << "\n";
    return kDone;
  }
  for (const auto& [key, value] : found->metadata) session.out() << key << "=" << value << "\n";
  return kDone;
}

int RunMetadata(Session& session) {
  const auto code = Metadata(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command MetadataCommand() {
  return {
      .name = "metadata",
      .summary = "Show a machine's metadata, set and remove some of it",
      .arguments = "MACHINE [KEY=VALUE…] [KEY-…]",
      .description =
          "What is set here wins over the machine's fleet.conf, lasts while the machine is away, "
          "and takes\neffect at once: units that may not run there any more move. Prints what the "
          "machine has then.",
      .example =
          "  fleetctl metadata 8be9f57e disk=ssd zone=b\n"
          "  fleetctl metadata 8be9f57e disk-",
      .flags = {OutputFlag("text or table, wide, json, yaml or name")},
      .run = RunMetadata,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
