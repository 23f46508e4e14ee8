#include "store/embedded/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/status.h"
#include "fmt/core.h"

namespace fleet::store::embedded {
namespace {

std::string ErrnoText(int error) { return std::strerror(error); }  // NOLINT(concurrency-mt-unsafe)

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite would create it readable for all; its journal takes the mode of the file.
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        fmt::format("cannot open the registry {}: {}; check that its directory exists and may be "
                    "written",
                    path, ErrnoText(errno)));
  }
  close(fd);
  sqlite3* db = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(path, db));
  if (rc != SQLITE_OK) return database->Error("opening");
  sqlite3_extended_result_codes(db, 1);
  // The order matters: an exclusive lock before WAL needs no shared memory file. The empty
  // transaction takes the lock.
  RETURN_IF_ERROR(database->Execute("PRAGMA locking_mode=EXCLUSIVE"));
  RETURN_IF_ERROR(database->Execute("PRAGMA journal_mode=WAL"));
  RETURN_IF_ERROR(database->Execute("PRAGMA synchronous=FULL"));
  RETURN_IF_ERROR(database->Execute("PRAGMA journal_size_limit=4194304"));
  RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(database->Execute("COMMIT"));
  ASSIGN_OR_RETURN(Statement check, database->Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool row, check.Step());
  if (row && check.Blob(0) != "ok") {
    return absl::DataLossError(
        fmt::format("the registry {} is damaged ({}): restore it from a backup, or move it away to "
                    "start with an empty one",
                    path, check.Blob(0)));
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(db_); }

absl::Status Database::Error(std::string_view what) const {
  const int code = sqlite3_extended_errcode(db_);
  const int system = sqlite3_system_errno(db_);
  std::string reason = sqlite3_errmsg(db_);
  if (system != 0) reason += fmt::format(" ({})", ErrnoText(system));
  const bool no_space = system == ENOSPC || system == EDQUOT || system == EFBIG;
  const auto text = [&](std::string_view advice) {
    return fmt::format("{} the registry {}: {}{}", what, path_, reason, advice);
  };
  const int primary = code & 0xff;
  if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && no_space)) {
    return absl::ResourceExhaustedError(
        text("; nothing was changed: free space on the disk (or in the quota) that holds it"));
  }
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          text("; restore it from a backup, or move it away to start with an empty one"));
    case SQLITE_BUSY:
      return absl::FailedPreconditionError(
          text("; another process has it open (is a second fleetd running?)"));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::FailedPreconditionError(text("; check its owner, mode and file system"));
    case SQLITE_TOOBIG:
      return absl::InvalidArgumentError(text(""));
    default:
      return absl::InternalError(text(""));
  }
}

absl::Status Database::Execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return Error(sql.starts_with("BEGIN") || sql.starts_with("PRAGMA") ? "opening" : "writing");
}

absl::Status Database::Commit() {
  absl::Status status = Execute("COMMIT");
  if (absl::IsInternal(status)) {
    // The disk failed at the very end: what it has kept shows only when the file is opened again.
    return absl::DeadlineExceededError(
        fmt::format("{} (it may have taken effect)", std::string(status.message())));
  }
  return status;
}

void Database::Rollback() {
  if (sqlite3_get_autocommit(db_) == 0) (void)Execute("ROLLBACK");
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    return Error("reading");
  }
  return Statement(this, statement);
}

absl::StatusOr<int64_t> Database::Number(const std::string& sql) {
  ASSIGN_OR_RETURN(Statement query, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, query.Step());
  return row ? query.Int(0) : 0;
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bound_(other.bound_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  std::swap(bound_, other.bound_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

Statement& Statement::Bind(std::string_view blob) {
  // A null pointer would bind NULL, which an empty key or value is not.
  const char* const data = blob.empty() ? "" : blob.data();
  sqlite3_bind_blob64(statement_, ++bound_, data, blob.size(), SQLITE_STATIC);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return database_->Error(sqlite3_stmt_readonly(statement_) != 0 ? "reading" : "writing");
}

absl::Status Statement::Run() {
  auto row = Step();
  while (row.ok() && *row) row = Step();
  Reset();
  return row.status();
}

void Statement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::Blob(int column) const {
  const void* const data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
}

}  // namespace fleet::store::embedded
