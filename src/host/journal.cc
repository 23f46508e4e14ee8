#include "host/journal.h"

#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"

namespace fleet::host {
namespace {

struct JournalCloser {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};
using Handle = std::unique_ptr<sd_journal, JournalCloser>;

// A field's value in the current entry; empty if it has none.
std::string Field(sd_journal* journal, const std::string& field) {
  const void* data = nullptr;
  size_t size = 0;
  if (sd_journal_get_data(journal, field.c_str(), &data, &size) < 0) return "";
  const std::string_view entry(static_cast<const char*>(data), size);
  return std::string(entry.substr(std::min(entry.size(), field.size() + 1)));  // behind "FIELD="
}

// The first of the fields that the entry has.
std::string AnyField(sd_journal* journal, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) {
    if (std::string value = Field(journal, field); !value.empty()) return value;
  }
  return "";
}

bool Match(sd_journal* journal, const std::string& field, const std::string& value) {
  const std::string match = field + "=" + value;
  return sd_journal_add_match(journal, match.data(), match.size()) >= 0;
}

// What the unit's processes wrote, and what its manager wrote about it (journalctl -u).
bool MatchUnit(sd_journal* journal, const std::string& unit, bool user) {
  if (user) {
    const std::string uid = std::to_string(getuid());
    return Match(journal, "_SYSTEMD_USER_UNIT", unit) && Match(journal, "_UID", uid) &&
           sd_journal_add_disjunction(journal) >= 0 && Match(journal, "USER_UNIT", unit) &&
           Match(journal, "_UID", uid);
  }
  return Match(journal, "_SYSTEMD_UNIT", unit) && sd_journal_add_disjunction(journal) >= 0 &&
         Match(journal, "UNIT", unit) && Match(journal, "_PID", "1");
}

// Nothing that would break the line, or a terminal.
std::string AsLine(std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  while (!message.empty() && message.back() == ' ') message.pop_back();
  return message;
}

// The last bytes of `text`, beginning with a whole UTF-8 character.
std::string_view LastBytes(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.remove_prefix(text.size() - bytes);
  while (!text.empty() && (static_cast<unsigned char>(text.front()) & 0xc0U) == 0x80U) {
    text.remove_prefix(1);
  }
  return text;
}

class FileJournal final : public Journal {
 public:
  explicit FileJournal(const JournalOptions& options) : options_(options) {}

  std::string Tail(const std::string& unit, int lines) override {
    const auto deadline =
        std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.limit);
    sd_journal* raw = nullptr;
    if (const int r = sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY); r < 0) {
      log::Debug("cannot read the journal for {}: error {}", unit, -r);
      return "";
    }
    const Handle journal(raw);
    sd_journal_set_data_threshold(raw, options_.max_bytes);
    if (!MatchUnit(raw, unit, options_.user) || sd_journal_seek_tail(raw) < 0) return "";
    return Collect(raw, lines, deadline);
  }

 private:
  std::string Collect(sd_journal* journal, int lines,
                      std::chrono::steady_clock::time_point deadline) const {
    std::vector<std::string> newest_first;
    std::string invocation;
    size_t bytes = 0;
    while (std::cmp_less(newest_first.size(), lines) && bytes < options_.max_bytes &&
           std::chrono::steady_clock::now() < deadline && sd_journal_previous(journal) > 0) {
      const std::string id =
          AnyField(journal, {"INVOCATION_ID", "USER_INVOCATION_ID", "_SYSTEMD_INVOCATION_ID"});
      if (invocation.empty()) invocation = id;
      if (!id.empty() && id != invocation) break;  // the run before
      newest_first.push_back(AsLine(Field(journal, "MESSAGE")));
      bytes += newest_first.back().size() + 1;
    }
    std::string text;
    for (auto line = newest_first.rbegin(); line != newest_first.rend(); ++line) {
      if (!text.empty()) text += '\n';
      text += *line;
    }
    return std::string(LastBytes(text, options_.max_bytes));
  }

  JournalOptions options_;
};

}  // namespace

std::unique_ptr<Journal> OpenJournal(const JournalOptions& options) {
  return std::make_unique<FileJournal>(options);
}

}  // namespace fleet::host
