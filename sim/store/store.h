// SPDX-License-Identifier: Apache-2.0
// The one door to the results database (SQLite; docs/store.md lists its tables). Results are keyed by what they are, run records
// (time, host, command) stand apart, so two databases with the same results have the same `dump_canonical()`.
//
//   Store store("out/results.sqlite");
//   Batch batch;
//   batch.results = {window};
//   batch.baselines = {dense};
//   batch.comparisons = {{identity(window), identity(dense), compare(window.ladder, dense.ladder)}};
//   store.save(run_record(command_line, git_hash, dirty, version), batch, wall_seconds);   // one transaction
//
// Safe to use from several threads: one connection, one mutex. Several processes wait for each other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/result/compare.h"
#include "sim/result/result.h"

namespace attnsim {

inline constexpr int kSchemaVersion = 1;

// Who ran what, when. Never part of a result.
struct RunRecord {
  std::string started_at_utc;  // 2026-01-31T12:00:00Z
  std::string host;
  std::string command_line;
  std::string git_hash;
  bool git_dirty = false;
  std::string attnsim_version;
};
// Fills in the time and the host.
[[nodiscard]] RunRecord run_record(std::string command_line, std::string git_hash, bool git_dirty, std::string attnsim_version);

// 16 hex digits of resolved config and model hash.
[[nodiscard]] std::string identity(const Result& result);

struct StoredComparison {
  std::string result;    // identity
  std::string baseline;  // identity
  Comparison values;
};

struct Sweep {
  std::string identity;  // hash of the resolved sweep
  std::string name;
  std::string resolved_config;
};

// A point that was computed has a result, one that failed a reason.
struct SweepPoint {
  std::string sweep;        // identity of a stored Sweep
  std::string coordinates;  // canonical JSON object, {"chip.sm.count":144}
  std::string workload;
  std::optional<Result> result;
  std::string failure;
};

struct StoredPoint {
  std::string coordinates;
  std::string workload;
  std::string result;  // identity, "" when it failed
  std::string failure;
};

// One row of a measurement file beside its prediction. A row without a kernel map entry has a reason instead.
struct ValidationRow {
  std::string file;
  std::string row_key;
  std::string device;
  std::string kernel;
  std::string phase;
  double measured_us = 0;
  std::optional<double> predicted_us;
  std::string unmapped_reason;
};

// What one transaction adds. `results` are the workloads of a run and appear in charts under their names; `baselines` are stored
// without a name.
struct Batch {
  std::vector<Result> results = {};
  std::vector<Result> baselines = {};
  std::vector<StoredComparison> comparisons = {};
  std::vector<Sweep> sweeps = {};
  std::vector<SweepPoint> points = {};
  std::vector<ValidationRow> validation_rows = {};
};

// A result that was there with other content is replaced: the model changed and its hash did not, which the caller should say.
struct Saved {
  std::int64_t added = 0;
  std::int64_t unchanged = 0;
  std::int64_t replaced = 0;
};

enum class Access { create, existing };  // existing: a missing file is an error

class Store {
 public:
  using RunId = std::int64_t;

  // Throws ConfigError: no SQLite file, another program's database, made by a newer version (none of them is touched), no
  // permission, missing file.
  explicit Store(const std::filesystem::path& file, Access access = Access::create);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A whole run in one transaction: all of it or nothing.
  Saved save(const RunRecord& run, const Batch& batch, double wall_s);

  // A long run (sweep): every append is a transaction of its own, so that what was done survives a kill.
  [[nodiscard]] RunId begin_run(const RunRecord& run);
  Saved append(RunId run, const Batch& batch);
  void end_run(RunId run, double wall_s);

  [[nodiscard]] bool contains(const std::string& result_identity) const;
  [[nodiscard]] std::vector<StoredPoint> sweep_points(const std::string& sweep_identity) const;  // in order of coordinates, workload

  // Results only, in an order that does not depend on who wrote what when.
  [[nodiscard]] std::string dump_canonical() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attnsim
