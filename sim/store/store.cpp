// SPDX-License-Identifier: Apache-2.0
#include "sim/store/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <mutex>

#include "sim/core/error.h"
#include "sim/store/rows.h"
#include "sim/store/schema.h"

namespace attnsim {
namespace {

using store::Row;
using store::Table;
using store::TableKind;
using store::Value;

constexpr int kBusyTimeoutMs = 30000;

[[noreturn]] void refuse(const std::string& file, const std::string& problem, const std::string& allowed = "") {
  throw ConfigError(ConfigIssue{file, "", "", problem, allowed, ""});
}

// What the user can mend is a ConfigError; a broken reference is ours.
[[noreturn]] void rethrow(const std::string& file, const SQLite::Exception& error) {
  const int code = error.getErrorCode();
  if (code == SQLITE_CONSTRAINT) throw Invariant(fmt::format("store: {}", error.what()));
  if (code == SQLITE_NOTADB) refuse(file, "is no SQLite database; it was not touched", "a results file of attnsim, or a new file name");
  if (code == SQLITE_CANTOPEN) refuse(file, "can't be opened or created", "a file in a folder that exists and may be written to");
  if (code == SQLITE_READONLY) refuse(file, "may not be written to", "a file with write permission");
  if (code == SQLITE_BUSY) refuse(file, fmt::format("was locked by another program for {} s", kBusyTimeoutMs / 1000));
  refuse(file, fmt::format("database error: {}", error.what()));
}

struct Binder {
  SQLite::Statement& statement;
  int index;
  void operator()(std::monostate) const { statement.bind(index); }
  void operator()(std::int64_t v) const { statement.bind(index, v); }
  void operator()(double v) const { statement.bind(index, v); }
  void operator()(const std::string& v) const { statement.bind(index, v); }
};

void write(SQLite::Database& db, std::string_view verb, const Row& row) {
  std::string marks;
  for (std::size_t i = 0; i < row.values.size(); ++i) marks += i == 0 ? "?" : ",?";
  SQLite::Statement statement(db, fmt::format("{} INTO {} VALUES ({})", verb, row.table, marks));
  int index = 0;
  for (const Value& value : row.values) std::visit(Binder{statement, ++index}, value);
  statement.exec();
}

// A row with a key of its own: the newest content stands.
void put(SQLite::Database& db, const Row& row) {
  write(db, "INSERT OR REPLACE", row);
}

void remove_parts(SQLite::Database& db, const std::string& id) {
  for (const Table& table : store::tables()) {
    if (table.kind != TableKind::of_result) continue;
    SQLite::Statement statement(db, fmt::format("DELETE FROM {} WHERE result = ?", table.name));
    statement.bind(1, id);
    statement.exec();
  }
}

void put_result(SQLite::Database& db, const Result& result, Saved& saved) {
  const std::vector<Row> rows = store::rows_of(result);
  const auto& id = std::get<std::string>(rows[0].values[0]);
  SQLite::Statement known(db, "SELECT content_hash FROM results WHERE identity = ?");
  known.bind(1, id);
  if (!known.executeStep()) {
    ++saved.added;
  } else if (known.getColumn(0).getString() == std::get<std::string>(rows[0].values[2])) {
    ++saved.unchanged;
    return;
  } else {
    ++saved.replaced;
    remove_parts(db, id);
  }
  put(db, rows[0]);
  for (std::size_t i = 1; i < rows.size(); ++i) write(db, "INSERT", rows[i]);
}

void put_batch(SQLite::Database& db, Store::RunId run, const Batch& batch, Saved& saved) {
  const auto put_linked = [&](const Result& result) {
    put_result(db, result, saved);
    put(db, {"run_results", {run, identity(result)}});
  };
  for (const Result& result : batch.results) {
    put_linked(result);
    put(db, {"workloads", {result.workload, identity(result)}});
  }
  for (const Result& result : batch.baselines) put_linked(result);
  for (const StoredComparison& comparison : batch.comparisons) {
    for (const Row& row : store::rows_of(comparison)) put(db, row);
  }
  for (const Sweep& sweep : batch.sweeps) put(db, store::row_of(sweep));
  for (const SweepPoint& point : batch.points) {
    if (point.result) put_linked(*point.result);
    put(db, store::row_of(point));
  }
  for (const ValidationRow& row : batch.validation_rows) put(db, store::row_of(row));
}

Store::RunId put_run(SQLite::Database& db, const RunRecord& r) {
  put(db, {"runs", {Value(), r.started_at_utc, r.host, r.command_line, r.git_hash, std::int64_t{r.git_dirty}, r.attnsim_version, Value()}});
  return db.getLastInsertRowid();
}

void set_wall(SQLite::Database& db, Store::RunId run, double wall_s) {
  SQLite::Statement statement(db, "UPDATE runs SET wall_s = ? WHERE id = ?");
  statement.bind(1, wall_s);
  statement.bind(2, run);
  statement.exec();
}

std::int64_t pragma(SQLite::Database& db, const char* name) {
  return db.execAndGet(fmt::format("PRAGMA {}", name)).getInt64();
}

// True for a file that has no tables yet. Reads only, so that a refused file stays as it was.
bool check_is_new(SQLite::Database& db, const std::string& file) {
  const std::int64_t application = pragma(db, "application_id");
  const std::int64_t version = pragma(db, "user_version");
  const bool empty = db.execAndGet("SELECT count(*) FROM sqlite_master").getInt64() == 0;
  if (empty && application == 0 && version == 0) return true;
  if (application != store::kApplicationId) {
    refuse(file, "is another program's database; it was not touched", "a results file of attnsim, or a new file name");
  }
  if (version > kSchemaVersion) {
    refuse(file, fmt::format("was made by a newer attnsim (schema version {}); it was not touched", version),
           fmt::format("schema versions up to {}; take a newer attnsim or another file name", kSchemaVersion));
  }
  return false;
}

void create_tables(SQLite::Database& db, const std::string& file) {
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  if (!check_is_new(db, file)) return;  // another process was faster
  for (const Table& table : store::tables()) db.exec(fmt::format("CREATE TABLE {} ({}) STRICT", table.name, table.columns));
  db.exec(fmt::format("PRAGMA application_id = {}", store::kApplicationId));
  db.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

SQLite::Database open(const std::string& file, Access access) {
  if (access == Access::existing && !std::filesystem::is_regular_file(file)) refuse(file, "does not exist", "a results file of attnsim");
  try {
    return SQLite::Database(file, SQLite::OPEN_READWRITE | (access == Access::create ? SQLite::OPEN_CREATE : 0), kBusyTimeoutMs);
  } catch (const SQLite::Exception& error) {
    rethrow(file, error);
  }
}

}  // namespace

struct Store::State {
  State(std::string name, Access access) : file(std::move(name)), db(open(file, access)) {}
  std::string file;
  SQLite::Database db;
  std::mutex mutex;

  template <class Body>
  auto locked(Body body) {
    const std::lock_guard lock(mutex);
    try {
      return body();
    } catch (const SQLite::Exception& error) {
      rethrow(file, error);
    }
  }
  template <class Body>
  auto transact(Body body) {
    return locked([&] {
      SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
      auto value = body();
      transaction.commit();
      return value;
    });
  }
};

Store::Store(const std::filesystem::path& file, Access access) : state_(std::make_unique<State>(file.string(), access)) {
  state_->locked([&] {
    if (check_is_new(state_->db, state_->file)) create_tables(state_->db, state_->file);
    state_->db.exec("PRAGMA foreign_keys = ON");
  });
}

Store::~Store() = default;

Saved Store::save(const RunRecord& run, const Batch& batch, double wall_s) {
  return state_->transact([&] {
    Saved saved;
    const RunId id = put_run(state_->db, run);
    put_batch(state_->db, id, batch, saved);
    set_wall(state_->db, id, wall_s);
    return saved;
  });
}

Store::RunId Store::begin_run(const RunRecord& run) {
  return state_->transact([&] { return put_run(state_->db, run); });
}

Saved Store::append(RunId run, const Batch& batch) {
  return state_->transact([&] {
    Saved saved;
    put_batch(state_->db, run, batch, saved);
    return saved;
  });
}

void Store::end_run(RunId run, double wall_s) {
  state_->transact([&] {
    set_wall(state_->db, run, wall_s);
    return 0;
  });
}

bool Store::contains(const std::string& result_identity) const {
  return state_->locked([&] {
    SQLite::Statement query(state_->db, "SELECT 1 FROM results WHERE identity = ?");
    query.bind(1, result_identity);
    return query.executeStep();
  });
}

std::vector<StoredPoint> Store::sweep_points(const std::string& sweep_identity) const {
  return state_->locked([&] {
    SQLite::Statement query(state_->db,
                            "SELECT coordinates, workload, ifnull(result, ''), ifnull(failure, '') FROM sweep_points WHERE sweep = ? "
                            "ORDER BY coordinates, workload");
    query.bind(1, sweep_identity);
    std::vector<StoredPoint> points;
    while (query.executeStep()) {
      points.push_back(
          {query.getColumn(0).getString(), query.getColumn(1).getString(), query.getColumn(2).getString(), query.getColumn(3).getString()});
    }
    return points;
  });
}

std::string Store::dump_canonical() const {
  return state_->locked([&] {
    std::string text = fmt::format("attnsim results, schema version {}\n", kSchemaVersion);
    for (const Table& table : store::tables()) {
      if (table.kind == TableKind::run_record) continue;
      SQLite::Statement query(state_->db, fmt::format("SELECT * FROM {}", table.name));
      std::string names, order;
      for (int i = 0; i < query.getColumnCount(); ++i) {
        names += fmt::format("{}{}", i == 0 ? "" : "\t", query.getColumnName(i));
        order += fmt::format("{}{}", i == 0 ? "" : ",", i + 1);
      }
      text += fmt::format("\n{}\n{}\n", table.name, names);
      SQLite::Statement sorted(state_->db, fmt::format("SELECT * FROM {} ORDER BY {}", table.name, order));
      while (sorted.executeStep()) {
        std::vector<Value> values;
        for (int i = 0; i < sorted.getColumnCount(); ++i) {
          const SQLite::Column column = sorted.getColumn(i);
          if (column.isNull()) {
            values.emplace_back();
          } else if (column.isInteger()) {
            values.emplace_back(column.getInt64());
          } else if (column.isFloat()) {
            values.emplace_back(column.getDouble());
          } else {
            values.emplace_back(column.getString());
          }
        }
        text += store::render(values) + "\n";
      }
    }
    return text;
  });
}

}  // namespace attnsim
