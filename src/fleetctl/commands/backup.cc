#include "base/status.h"
#include "client/text.h"
#include "fleetctl/backup_document.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/read_backup.h"
#include "fleetctl/whole_file.h"

namespace fleet::fleetctl {
namespace {

absl::Status Backup(Session& session) {
  const std::string& path = session.arguments()[0];
  ASSIGN_OR_RETURN(const BackupDocument document, ReadRegistry(session.api()));
  if (!document.unreadable.empty()) {
    const std::string what = Cat(
        "the registry has records that this fleetd cannot read, of a newer version or damaged: ",
        Join(document.unreadable, ", "));
    if (!session.flags().On("incomplete")) {
      return absl::FailedPreconditionError(
          Cat(what,
              ". Nothing was written; ask a newer fleetd, or add --incomplete to save the "
              "others"));
    }
    session.err() << "WARNING: " << what << "\n";
  }
  const std::string text = FormatBackup(document);
  std::string done = Cat("Saved ", document.units.size(), " units and the metadata of ",
                         document.machines.size(), " machines at revision ", document.revision);
  if (path != "-") {
    RETURN_IF_ERROR(ReplaceWholeFile(path, text));
    session.out() << done << " in " << path << "\n";
    return absl::OkStatus();
  }
  session.out() << text << std::flush;
  if (!session.out())
    return absl::FailedPreconditionError("cannot write to stdout: the backup is not complete");
  session.err() << done << "\n";
  return absl::OkStatus();
}

int RunBackup(Session& session) {
  const absl::Status status = Backup(session);
  return status.ok() ? kDone : session.Fail(status);
}

}  // namespace

Command BackupCommand() {
  return {.name = "backup",
          .summary = "Save all units, their desired states and the machines' metadata in a file",
          .arguments = "FILE",
          .description =
              "FILE holds the registry as it was at one moment, as JSON; \"-\" is stdout. A file "
              "that is there\nis replaced once the new one is complete. It has what was set at run "
              "time: of machines, also of those\nthat are away, metadata, cordons and drains; of "
              "templates the numbers of scale and former texts.\nConfiguration files are not in "
              "it.",
          .example =
              "  fleetctl backup fleet.json\n"
              "  fleetctl backup - | gzip > fleet.json.gz",
          .flags = {{"incomplete", 0, "", "",
                     "save what can be read, if the registry has records that cannot"}},
          .run = RunBackup,
          .min_arguments = 1,
          .max_arguments = 1};
}

}  // namespace fleet::fleetctl
