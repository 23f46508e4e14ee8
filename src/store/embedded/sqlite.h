#pragma once

// SQLite in terms of Status and std::string. One thread at a time.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fleet::store::embedded {

class Statement;

class Database {
 public:
  // Opens or creates `path` (mode 0600) for this process alone, in WAL mode, each commit synced.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::Status Execute(const std::string& sql);
  // A statement with parameters; the SQL is the program's own and known to be right.
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::StatusOr<int64_t> Number(const std::string& sql);  // of a query with one number

  absl::Status Begin() { return Execute("BEGIN"); }
  absl::Status Commit();
  void Rollback();  // if a transaction is open

 private:
  friend class Statement;
  Database(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  absl::Status Error(std::string_view what) const;

  const std::string path_;
  sqlite3* const db_;
};

// A prepared statement. Bind() the parameters in their order, Step() over the rows, read columns;
// Reset() before the next use. What is bound must live until then.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  Statement& Bind(int64_t value);
  Statement& Bind(std::string_view blob);

  absl::StatusOr<bool> Step();  // true: there is a row
  absl::Status Run();           // to the end, and Reset()
  void Reset();

  int64_t Int(int column) const;
  std::string Blob(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  Database* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

// Resets a statement at the end of a scope.
class Resetter {
 public:
  explicit Resetter(Statement& statement) : statement_(statement) {}
  ~Resetter() { statement_.Reset(); }
  Resetter(const Resetter&) = delete;
  Resetter& operator=(const Resetter&) = delete;

 private:
  Statement& statement_;
};

}  // namespace fleet::store::embedded
