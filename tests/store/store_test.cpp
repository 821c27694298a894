// SPDX-License-Identifier: Apache-2.0
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

#include "sim/core/error.h"
#include "sim/store/schema.h"
#include "tests/store/sample.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

std::int64_t count(const std::filesystem::path& file, const std::string& table) {
  SQLite::Database db(file.string(), SQLite::OPEN_READONLY);
  return db.execAndGet("SELECT count(*) FROM " + table).getInt64();
}

std::int64_t rows_in_all_tables(const std::filesystem::path& file) {
  std::int64_t rows = 0;
  for (const store::Table& table : store::tables()) rows += count(file, std::string(table.name));
  return rows;
}

Batch window_against_dense() {
  const Result window = sample_result("window", 0.5), dense = sample_result("dense", 2);
  return {.results = {window}, .baselines = {dense}, .comparisons = {sample_comparison(window, dense)}};
}

SweepPoint point(int value, std::optional<Result> result, std::string failure = "") {
  return {"sweep-1", "{\"chip.sm.count\":" + std::to_string(value) + "}", "prefill", std::move(result), std::move(failure)};
}

}  // namespace

TEST_CASE("saving the same results again adds a run record and nothing else") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store store(file);
  const Saved first = store.save(sample_run(), window_against_dense(), 1.5);
  const std::string dump = store.dump_canonical();
  const Saved second = store.save(sample_run("host-b"), window_against_dense(), 2.5);
  CHECK(first.added == 2);
  CHECK(second.added == 0);
  CHECK(second.unchanged == 2);
  CHECK(second.replaced == 0);
  CHECK(store.dump_canonical() == dump);
  CHECK(count(file, "runs") == 2);
  CHECK(count(file, "results") == 2);
  CHECK(count(file, "workloads") == 1);
}

TEST_CASE("every part of a result has its rows: one per rung, kernel, reason, count and harness part") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store(file).save(sample_run(), {.results = {sample_result("a")}}, 1);
  CHECK(count(file, "rungs") == 5);
  CHECK(count(file, "kernels") == 2);
  CHECK(count(file, "kernel_rungs") == 2 * 5);
  CHECK(count(file, "kernel_resources") == 2 * 3);  // busy and two reasons
  // 11 counts, and the counters that the sample's kernels can give.
  std::int64_t counted = 2 * 11;
  for (const KernelResult& kernel : sample_result("a").kernels) {
    for (const CounterInfo& counter : counters()) counted += std::isfinite(counter.get(kernel)) ? 1 : 0;
  }
  CHECK(count(file, "kernel_counts") == counted);
  CHECK(count(file, "harness_parts") == 1);
  CHECK(count(file, "chip_peaks") == 1);
  SQLite::Database db(file.string(), SQLite::OPEN_READONLY);
  CHECK(db.execAndGet("SELECT value FROM metrics WHERE metric = 'hbm_intensity_flop_per_b'").getDouble() == 4e6 / 1e4);
  CHECK(db.execAndGet("SELECT sum(fraction) FROM kernel_resources WHERE kernel = 0").getDouble() == 1);
  CHECK(db.execAndGet("SELECT count(*) FROM metrics WHERE metric = 'time_measured_us'").getInt() == 0);
}

TEST_CASE("promise divides like rungs, bound divides the baseline's best time") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store(file).save(sample_run(), window_against_dense(), 1);
  SQLite::Database db(file.string(), SQLite::OPEN_READONLY);
  // window is half the unit ladder, dense twice: every promise is 4; flops bound is 160 us over 5 us.
  CHECK(db.execAndGet("SELECT min(promise) FROM comparisons").getDouble() == 4);
  CHECK(db.execAndGet("SELECT max(promise) FROM comparisons").getDouble() == 4);
  CHECK(db.execAndGet("SELECT bound FROM comparisons WHERE rung = 'flops'").getDouble() == 32);
  CHECK(db.execAndGet("SELECT baseline_measured FROM comparisons WHERE rung = 'flops'").getInt() == 0);
}

TEST_CASE("two databases filled in another order by other hosts have the same canonical dump") {
  const TemporaryFolder folder;
  Store a(folder.file("a.sqlite")), b(folder.file("b.sqlite"));
  const Result one = sample_result("one", 1), two = sample_result("two", 2);
  const ValidationRow row{"rows.csv", "17", "H100", "fa3", "prefill", 100, 90, ""};
  const ValidationRow unmapped{"rows.csv", "18", "H100", "fa4", "prefill", 100, std::nullopt, "no kernel map entry"};
  a.save(sample_run("host-a"), {.results = {one}}, 1);
  a.save(sample_run("host-a"), {.results = {two}, .comparisons = {sample_comparison(two, one)}, .validation_rows = {row, unmapped}}, 1);
  b.save(sample_run("host-b"), {.validation_rows = {unmapped}}, 9);
  b.save(sample_run("host-b"), {.results = {two, one}, .comparisons = {sample_comparison(two, one)}, .validation_rows = {row}}, 9);
  REQUIRE(a.dump_canonical() == b.dump_canonical());
  REQUIRE(a.dump_canonical().find("host-a") == std::string::npos);
  REQUIRE(a.dump_canonical().find("2026-01-31") == std::string::npos);
  b.save(sample_run(), {.results = {sample_result("three", 3)}}, 1);
  REQUIRE(a.dump_canonical() != b.dump_canonical());
}

TEST_CASE("a failure inside a run leaves no row of it in any table") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store store(file);
  Batch broken = window_against_dense();
  broken.comparisons[0].baseline = "ffffffffffffffff";  // no such result
  REQUIRE_THROWS_AS(store.save(sample_run(), broken, 1), Invariant);
  REQUIRE(rows_in_all_tables(file) == 0);
  REQUIRE(store.save(sample_run(), window_against_dense(), 1).added == 2);
}

TEST_CASE("a point with neither result nor reason is refused, and so is everything beside it") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store store(file);
  REQUIRE_THROWS_AS(
      store.save(sample_run(), {.results = {sample_result("a")}, .sweeps = {{"sweep-1", "s", "{}"}}, .points = {point(1, std::nullopt)}},
                 1),
      Invariant);
  REQUIRE(rows_in_all_tables(file) == 0);
}

TEST_CASE("a result whose content changed under the same identity is replaced whole, and the caller hears of it") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  Store store(file);
  Result r = sample_result("a");
  store.save(sample_run(), {.results = {r}}, 1);
  r.kernels.pop_back();
  r.ladder.time_us[static_cast<std::size_t>(Rung::simulated)] = 90;
  REQUIRE(store.save(sample_run(), {.results = {r}}, 1).replaced == 1);
  CHECK(count(file, "results") == 1);
  CHECK(count(file, "kernels") == 1);
  CHECK(SQLite::Database(file.string()).execAndGet("SELECT time_us FROM rungs WHERE rung = 'simulated'").getDouble() == 90);
}

TEST_CASE("identity follows config and model, not the workload's name") {
  const Result a = sample_result("a"), b = sample_result("b");
  Result other_model = a;
  other_model.model_hash = "00000000000000bb";
  CHECK(identity(a) == identity(b));
  CHECK(identity(a) != identity(other_model));
  CHECK(identity(a) != identity(sample_result("a", 3)));
}

TEST_CASE("a sweep that was killed finds its points again, failures with their reason") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  const Result done = sample_result("prefill", 2);
  {
    Store store(file);
    const Store::RunId run = store.begin_run(sample_run());
    store.append(run, {.sweeps = {{"sweep-1", "s", "{}"}}, .points = {point(2, done)}});
    store.append(run, {.points = {point(1, std::nullopt, "tile does not fit SMEM")}});
  }  // no end_run
  const std::vector<StoredPoint> points = Store(file).sweep_points("sweep-1");
  REQUIRE(points.size() == 2);
  CHECK(points[0].coordinates == "{\"chip.sm.count\":1}");
  CHECK(points[0].failure == "tile does not fit SMEM");
  CHECK(points[0].result.empty());
  CHECK(points[1].result == identity(done));
  CHECK(Store(file).contains(identity(done)));
  CHECK(Store(file).sweep_points("sweep-2").empty());
  CHECK(count(file, "workloads") == 0);
}

TEST_CASE("threads that save at the same time, through one store and through two, lose nothing") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  constexpr int kThreads = 4, kEach = 5;
  Store shared(file);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::optional<Store> own;
      if (t % 2 == 1) own.emplace(file);
      Store& store = own ? *own : shared;
      for (int i = 0; i < kEach; ++i) store.save(sample_run(), {.results = {sample_result("w", t * kEach + i + 1)}}, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count(file, "results") == kThreads * kEach);
  CHECK(count(file, "runs") == kThreads * kEach);
  CHECK(count(file, "rungs") == kThreads * kEach * 5);
}

TEST_CASE("tables are STRICT: a text where a time belongs is refused by the database itself") {
  const TemporaryFolder folder;
  const auto file = folder.file("a.sqlite");
  { Store store(file); }
  SQLite::Database db(file.string(), SQLite::OPEN_READWRITE);
  REQUIRE_THROWS_AS(db.exec("INSERT INTO harness_parts VALUES ('r', 'constant', 'soon')"), SQLite::Exception);
  REQUIRE(
      db.execAndGet("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND NOT strict").getInt() ==
      0);
}

TEST_CASE("a run record carries the time in UTC and a host") {
  const RunRecord record = run_record("attnsim run", "abc", false, "0.1.0");
  CHECK(record.started_at_utc.size() == std::string("2026-01-31T12:00:00Z").size());
  CHECK(record.started_at_utc.back() == 'Z');
  CHECK_FALSE(record.host.empty());
}
