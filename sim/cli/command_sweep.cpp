// SPDX-License-Identifier: Apache-2.0
// `sweep`: the points of a grid by all cores. Every point is a transaction of its own; points that the database holds are skipped.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <ostream>
#include <set>

#include "sim/cli/command.h"
#include "sim/cli/progress.h"
#include "sim/cli/runner.h"
#include "sim/cli/switches.h"
#include "sim/cli/table.h"
#include "sim/core/parallel.h"
#include "sim/predict/memo.h"
#include "sim/predict/sweep_config.h"

namespace attnsim::cli {

namespace {

constexpr const char* kDefaultDatabase = "attnsim.sqlite";
constexpr std::size_t kRememberedPoints = 20'000;  // above, predictions are remembered within a point only

// The rows of one point. A point whose config is refused fails for every workload of the run.
Batch compute_point(const SweepConfig& sweep, const Sweep& stored, const SweepPosition& at, const Predictor& predictor) {
  Batch batch;
  const auto fail = [&](const std::string& workload, const std::string& reason) {
    batch.points.push_back({stored.identity, at.coordinates, workload, std::nullopt, reason});
  };
  RunConfig config;
  try {
    config = parse_run_config(at.run);
  } catch (const ConfigError& error) {
    for (const WorkloadConfig& workload : parse_run_config(sweep.run).workloads) fail(workload.name, error.what());
    return batch;
  }
  for (std::size_t i = 0; i < config.workloads.size(); ++i) {
    try {
      const Outcome outcome = execute_workload(config, i, predictor);
      const Batch one = batch_of({outcome});
      batch.baselines.push_back(outcome.baseline);
      batch.comparisons.insert(batch.comparisons.end(), one.comparisons.begin(), one.comparisons.end());
      batch.points.push_back({stored.identity, at.coordinates, config.workloads[i].name, outcome.result, ""});
    } catch (const ConfigError& error) {
      fail(config.workloads[i].name, error.what());
    } catch (const SimError& error) {
      fail(config.workloads[i].name, error.what());
    }
  }
  return batch;
}

struct Tally {
  std::size_t points = 0;
  std::size_t computed = 0;
  std::size_t skipped = 0;
};

std::vector<std::size_t> pending_points(const SweepConfig& sweep, const Store& store, const std::string& identity) {
  std::set<std::string> done;
  for (const StoredPoint& point : store.sweep_points(identity)) done.insert(point.coordinates);
  std::vector<std::size_t> pending;
  for (std::size_t i = 0; i < sweep.size(); ++i)
    if (done.count(position(sweep, i).coordinates) == 0) pending.push_back(i);
  return pending;
}

void report(const Context& context, const SweepConfig& sweep, const Tally& tally, const std::vector<StoredPoint>& points,
            const std::string& identity, const std::string& file) {
  std::size_t failed = 0;
  for (const StoredPoint& point : points) failed += point.failure.empty() ? 0 : 1;
  if (context.json) {
    Json list = Json::array();
    for (const StoredPoint& point : points) {
      Json entry = {{"coordinates", Json::parse(point.coordinates)}, {"workload", point.workload}};
      entry[point.failure.empty() ? "result" : "failure"] = point.failure.empty() ? point.result : point.failure;
      list.push_back(std::move(entry));
    }
    context.out << Json{{"name", sweep.name},         {"sweep", identity},        {"db", file},       {"points", tally.points},
                        {"computed", tally.computed}, {"skipped", tally.skipped}, {"failed", failed}, {"results", list}}
                       .dump(2)
                << '\n';
    return;
  }
  context.out << fmt::format("{}: {} points, {} computed, {} already there, {} predictions failed; stored in {}\n", sweep.name,
                             tally.points, tally.computed, tally.skipped, failed, file);
  if (failed == 0) return;
  constexpr std::size_t kShown = 10;
  TextTable table({"failed at", "workload", "reason"});
  std::size_t shown = 0;
  for (const StoredPoint& point : points) {
    if (point.failure.empty() || shown == kShown) continue;
    ++shown;
    table.add({point.coordinates, point.workload, point.failure});
  }
  context.out << table.render(2);
  if (failed > shown) context.out << fmt::format("  and {} more; see table sweep_points\n", failed - shown);
}

// Into the run of every point, so that a sweep without an effect is another sweep.
void switch_off(SweepConfig& sweep, const std::vector<std::string>& texts) {
  std::set<std::string> names = parse_effects(texts);
  if (names.empty()) return;
  Json& without = sweep.run.root["without"];
  if (without.is_array()) {
    for (const Json& name : without) names.insert(name.get<std::string>());
  }
  without = names;
}

void run_sweep(const Context& context, const std::string& path, const std::vector<std::string>& without) {
  const auto start = std::chrono::steady_clock::now();
  SweepConfig sweep = load_sweep_config(path);
  switch_off(sweep, without);
  const std::string configured = sweep.database.empty() ? kDefaultDatabase : sweep.database;
  const std::string file = context.database.empty() ? configured : context.database;
  Sweep stored{"", sweep.name, resolved_sweep(sweep)};
  stored.identity = content_hash(stored.resolved_config);

  Store store(file);
  const std::vector<std::size_t> pending = pending_points(sweep, store, stored.identity);
  if (!pending.empty()) {
    const Store::RunId run = store.begin_run(record_of(context));
    Batch first;
    first.sweeps = {stored};
    store.append(run, first);
    Memo shared;
    Progress progress(context.err, context.quiet, "points", pending.size());
    parallel_for(pending.size(), context.threads(), [&](std::size_t i) {
      Memo own;
      const SweepPosition at = position(sweep, pending[i]);
      store.append(run, compute_point(sweep, stored, at, (pending.size() > kRememberedPoints ? own : shared).predictor()));
      progress.step();
    });
    store.end_run(run, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  report(context, sweep, {sweep.size(), pending.size(), sweep.size() - pending.size()}, store.sweep_points(stored.identity),
         stored.identity, file);
}

}  // namespace

void add_sweep(CLI::App& app, Context& context) {
  const auto file = std::make_shared<std::string>();
  app.add_option("sweep", *file, "Sweep (JSON; schema workloads/sweep.schema.json)")->required()->type_name("SWEEP.json");
  const auto without = std::make_shared<std::vector<std::string>>();
  app.add_option("--without", *without, "Switch effects off by name (attnsim list effects)")->type_name("EFFECT[,EFFECT...]");
  app.footer(
      "A sweep names a run config and a grid over any of its fields:\n"
      "  {\"run\": \"main-job.json\",\n"
      "   \"grid\": {\"chip.hbm.bandwidth_gb_per_s\": [3350, 4800], \"chip.sm.count\": [132, 160], \"shape.kv_len\": [8192]}}\n"
      "Killed? Start it again: points that the database holds are skipped. A point that fails is recorded with its reason.");
  app.callback([&context, file, without] { context.action = [&context, file, without] { run_sweep(context, *file, *without); }; });
}

}  // namespace attnsim::cli
