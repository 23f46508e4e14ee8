#pragma once

// host::Journal over the journal's files (sd-journal(3)).

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "host/host.h"

namespace fleet::host {

struct JournalOptions {
  bool user = false;  // units of the user's own manager
  // Tail() gives up here, with what it has: the machine loop waits for it.
  absl::Duration limit = absl::Milliseconds(40);
  size_t max_bytes = 4096;
};

// Opens the journal for each question, so that nothing is held open between them.
std::unique_ptr<Journal> OpenJournal(const JournalOptions& options);

}  // namespace fleet::host
