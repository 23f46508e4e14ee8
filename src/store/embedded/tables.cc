#include "store/embedded/tables.h"

#include <limits>
#include <string_view>

#include "base/status.h"
#include "fmt/core.h"
#include "store/txn_check.h"

namespace fleet::store::embedded {
namespace {

constexpr int64_t kFormat = 1;

constexpr char kSchema[] = R"sql(
CREATE TABLE version (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  mod_revision INTEGER NOT NULL,
  create_revision INTEGER NOT NULL,
  version INTEGER NOT NULL,
  lease INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  value BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX version_by_key ON version (key, mod_revision);
CREATE INDEX version_by_revision ON version (mod_revision);
CREATE INDEX version_by_lease ON version (lease) WHERE lease <> 0;
CREATE TABLE live (key BLOB PRIMARY KEY, id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('compacted', 0);
)sql";

// In the order that ReadKeyValue() expects.
constexpr std::string_view kColumns =
    "v.key, v.value, v.create_revision, v.mod_revision, v.version, v.lease";

KeyValue ReadKeyValue(const Statement& row) {
  return {.key = row.Blob(0),
          .value = row.Blob(1),
          .create_revision = row.Int(2),
          .mod_revision = row.Int(3),
          .version = row.Int(4),
          .lease = row.Int(5)};
}

bool IsToEnd(const KeyRange& range) { return range.end == std::string_view("\0", 1); }

// The end of a range that is not to the end of all keys.
std::string EndOf(const KeyRange& range) {
  return range.end.empty() ? range.key + '\0' : range.end;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tables>> Tables::Open(Database* database) {
  std::unique_ptr<Tables> tables(new Tables(database));
  ASSIGN_OR_RETURN(const int64_t format, database->Number("PRAGMA user_version"));
  if (format > kFormat) {
    return absl::FailedPreconditionError(
        fmt::format("the registry has format {}, this version of fleet knows formats up to {}: "
                    "install the version that wrote it",
                    format, kFormat));
  }
  if (format == 0) {
    const absl::Status created = tables->Create();
    if (!created.ok()) {
      database->Rollback();
      return created;
    }
  }
  RETURN_IF_ERROR(tables->Prepare());
  return tables;
}

absl::Status Tables::Create() {
  RETURN_IF_ERROR(database_->Begin());
  RETURN_IF_ERROR(database_->Execute(kSchema));
  RETURN_IF_ERROR(database_->Execute(fmt::format("PRAGMA user_version={}", kFormat)));
  return database_->Commit();
}

absl::Status Tables::Prepare() {
  const auto prepare = [this](Statement& statement, const std::string& sql) {
    auto prepared = database_->Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    statement = *std::move(prepared);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(
      prepare(find_,
              "SELECT v.key, x'', v.create_revision, v.mod_revision, v.version, v.lease "
              "FROM live JOIN version AS v ON v.id = live.id WHERE live.key = ?1"));
  RETURN_IF_ERROR(prepare(
      insert_,
      "INSERT INTO version (key, mod_revision, create_revision, version, lease, deleted, value) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  RETURN_IF_ERROR(
      prepare(set_live_, "INSERT OR REPLACE INTO live VALUES (?1, last_insert_rowid())"));
  RETURN_IF_ERROR(prepare(unset_live_, "DELETE FROM live WHERE key = ?1"));

  // CROSS JOIN keeps SQLite from choosing another order: keys first.
  const std::string now = fmt::format(
      "SELECT {} FROM live CROSS JOIN version AS v ON v.id = live.id "
      "WHERE live.key >= ?1 AND {{}} ORDER BY live.key LIMIT ?3",
      kColumns);
  RETURN_IF_ERROR(prepare(range_, fmt::format(fmt::runtime(now), "live.key < ?2")));
  RETURN_IF_ERROR(prepare(range_to_end_, fmt::format(fmt::runtime(now), "?2 NOTNULL")));
  const std::string past = fmt::format(
      "SELECT {} FROM version AS v WHERE v.key >= ?1 AND {{}} AND v.mod_revision <= ?4 "
      "AND v.deleted = 0 AND NOT EXISTS (SELECT 1 FROM version AS later "
      "WHERE later.key = v.key AND later.mod_revision > v.mod_revision "
      "AND later.mod_revision <= ?4) ORDER BY v.key LIMIT ?3",
      kColumns);
  RETURN_IF_ERROR(prepare(past_, fmt::format(fmt::runtime(past), "v.key < ?2")));
  RETURN_IF_ERROR(prepare(past_to_end_, fmt::format(fmt::runtime(past), "?2 NOTNULL")));
  RETURN_IF_ERROR(prepare(
      changes_, fmt::format("SELECT {}, v.deleted FROM version AS v WHERE v.mod_revision >= ?1 "
                            "ORDER BY v.id",
                            kColumns)));
  RETURN_IF_ERROR(prepare(keys_, "SELECT key FROM live WHERE key >= ?1 AND key < ?2 ORDER BY key"));
  RETURN_IF_ERROR(
      prepare(keys_to_end_, "SELECT key FROM live WHERE key >= ?1 AND ?2 NOTNULL ORDER BY key"));
  RETURN_IF_ERROR(prepare(keys_of_,
                          "SELECT live.key FROM version AS v JOIN live ON live.key = v.key "
                          "AND live.id = v.id WHERE v.lease = ?1 AND v.lease <> 0 "
                          "ORDER BY live.key"));
  RETURN_IF_ERROR(prepare(add_lease_, "INSERT INTO lease VALUES (?1, ?2)"));
  return prepare(remove_lease_, "DELETE FROM lease WHERE id = ?1");
}

absl::StatusOr<int64_t> Tables::Revision() {
  return database_->Number("SELECT max(1, coalesce(max(mod_revision), 1)) FROM version");
}

absl::StatusOr<int64_t> Tables::Compacted() {
  return database_->Number("SELECT value FROM meta WHERE name = 'compacted'");
}

absl::StatusOr<std::vector<std::pair<LeaseId, int64_t>>> Tables::Leases() {
  ASSIGN_OR_RETURN(Statement query, database_->Prepare("SELECT id, ttl FROM lease"));
  std::vector<std::pair<LeaseId, int64_t>> leases;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return leases;
    leases.emplace_back(query.Int(0), query.Int(1));
  }
}

absl::StatusOr<std::optional<KeyValue>> Tables::Find(const std::string& key) {
  const Resetter resetter(find_);
  ASSIGN_OR_RETURN(const bool row, find_.Bind(key).Step());
  if (!row) return std::nullopt;
  return ReadKeyValue(find_);
}

absl::StatusOr<std::vector<KeyValue>> Tables::Range(const KeyRange& range, int64_t revision,
                                                    int64_t limit) {
  const bool to_end = IsToEnd(range);
  const std::string end = EndOf(range);
  Statement& query =
      revision == 0 ? (to_end ? range_to_end_ : range_) : (to_end ? past_to_end_ : past_);
  const Resetter resetter(query);
  query.Bind(range.key).Bind(end).Bind(limit == 0 ? int64_t{-1} : limit);
  if (revision != 0) query.Bind(revision);
  std::vector<KeyValue> kvs;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return kvs;
    kvs.push_back(ReadKeyValue(query));
  }
}

absl::StatusOr<std::vector<Event>> Tables::Changes(const KeyRange& range, int64_t revision) {
  const Resetter resetter(changes_);
  changes_.Bind(revision);
  std::vector<Event> events;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, changes_.Step());
    if (!row) return events;
    if (!Contains(range, changes_.Blob(0))) continue;
    KeyValue kv = ReadKeyValue(changes_);
    if (changes_.Int(6) == 0) {
      events.push_back({Event::Type::kPut, std::move(kv)});
    } else {
      events.push_back(
          {Event::Type::kDelete, {.key = std::move(kv.key), .mod_revision = kv.mod_revision}});
    }
  }
}

absl::StatusOr<std::vector<std::string>> Tables::KeysIn(const KeyRange& range) {
  Statement& query = IsToEnd(range) ? keys_to_end_ : keys_;
  const std::string end = EndOf(range);
  const Resetter resetter(query);
  query.Bind(range.key).Bind(end);
  std::vector<std::string> keys;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return keys;
    keys.push_back(query.Blob(0));
  }
}

absl::StatusOr<std::vector<std::string>> Tables::KeysOf(LeaseId lease) {
  const Resetter resetter(keys_of_);
  keys_of_.Bind(lease);
  std::vector<std::string> keys;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, keys_of_.Step());
    if (!row) return keys;
    keys.push_back(keys_of_.Blob(0));
  }
}

absl::Status Tables::Insert(const KeyValue& kv, bool deleted) {
  return insert_.Bind(kv.key)
      .Bind(kv.mod_revision)
      .Bind(kv.create_revision)
      .Bind(kv.version)
      .Bind(kv.lease)
      .Bind(int64_t{deleted ? 1 : 0})
      .Bind(kv.value)
      .Run();
}

absl::StatusOr<Event> Tables::Put(const std::string& key, const std::string& value, LeaseId lease,
                                  int64_t revision) {
  ASSIGN_OR_RETURN(const std::optional<KeyValue> before, Find(key));
  KeyValue kv{.key = key,
              .value = value,
              .create_revision = before ? before->create_revision : revision,
              .mod_revision = revision,
              .version = before ? before->version + 1 : 1,
              .lease = lease};
  RETURN_IF_ERROR(Insert(kv, false));
  RETURN_IF_ERROR(set_live_.Bind(key).Run());
  return Event{Event::Type::kPut, std::move(kv)};
}

absl::StatusOr<Event> Tables::Delete(const std::string& key, int64_t revision) {
  KeyValue kv{.key = key, .mod_revision = revision};
  RETURN_IF_ERROR(Insert(kv, true));
  RETURN_IF_ERROR(unset_live_.Bind(key).Run());
  return Event{Event::Type::kDelete, std::move(kv)};
}

absl::Status Tables::AddLease(LeaseId lease, int64_t ttl_seconds) {
  return add_lease_.Bind(lease).Bind(ttl_seconds).Run();
}

absl::Status Tables::RemoveLease(LeaseId lease) { return remove_lease_.Bind(lease).Run(); }

absl::Status Tables::Compact(int64_t compacted, int64_t revision) {
  // What superseded something since the last time tells what to forget.
  ASSIGN_OR_RETURN(
      Statement superseded,
      database_->Prepare("DELETE FROM version WHERE id IN ("
                         "SELECT old.id FROM version AS new CROSS JOIN version AS old "
                         "ON old.key = new.key AND old.mod_revision < new.mod_revision "
                         "WHERE new.mod_revision > ?1 AND new.mod_revision <= ?2)"));
  RETURN_IF_ERROR(superseded.Bind(compacted).Bind(revision).Run());
  ASSIGN_OR_RETURN(Statement deletions,
                   database_->Prepare("DELETE FROM version WHERE deleted = 1 "
                                      "AND mod_revision > ?1 AND mod_revision <= ?2"));
  RETURN_IF_ERROR(deletions.Bind(compacted).Bind(revision).Run());
  ASSIGN_OR_RETURN(Statement mark,
                   database_->Prepare("UPDATE meta SET value = ?1 WHERE name = 'compacted'"));
  return mark.Bind(revision).Run();
}

}  // namespace fleet::store::embedded
