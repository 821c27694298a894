// SPDX-License-Identifier: Apache-2.0
// `run` and `explain`: the same predictions, told briefly and in full.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/report.h"
#include "sim/cli/runner.h"

namespace attnsim::cli {

namespace {

// Opened before the work, so that a database that can't be written is told at once.
std::unique_ptr<Store> open_store(const Context& context, const RunConfig& config) {
  const std::string file = context.database.empty() ? config.database : context.database;
  return file.empty() ? nullptr : std::make_unique<Store>(file);
}

void run(const Context& context, const std::string& file) {
  const auto start = std::chrono::steady_clock::now();
  const RunConfig config = load_run_config(file);
  const std::unique_ptr<Store> store = open_store(context, config);
  const std::vector<Outcome> outcomes = execute_parallel(config, context);
  std::string stored;
  if (store) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const Saved saved = store->save(record_of(context), batch_of(outcomes), elapsed.count());
    stored = fmt::format("stored in {}: {} results added, {} already there{}\n",
                         context.database.empty() ? config.database : context.database, saved.added, saved.unchanged,
                         saved.replaced > 0 ? fmt::format(", {} replaced (same identity, other content)", saved.replaced) : "");
  }
  if (context.json)
    context.out << run_json(config, outcomes).dump(2) << '\n';
  else
    context.out << run_text(config, outcomes) << stored;
}

void explain(const Context& context, const std::string& file) {
  const RunConfig config = load_run_config(file);
  const std::vector<Outcome> outcomes = execute_parallel(config, context);
  if (context.json)
    context.out << explain_json(config, outcomes).dump(2) << '\n';
  else
    context.out << explain_text(config, outcomes);
}

void add_on_config(CLI::App& app, Context& context, void (*work)(const Context&, const std::string&)) {
  const auto file = std::make_shared<std::string>();
  app.add_option("config", *file, "Run config (JSON; schema workloads/run.schema.json)")->required()->type_name("CONFIG.json");
  app.callback([&context, file, work] { context.action = [&context, file, work] { work(context, *file); }; });
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  app.footer("Example:\n  attnsim run workloads/configs/main-job.json --db results.sqlite");
  add_on_config(app, context, run);
}

void add_explain(CLI::App& app, Context& context) {
  app.footer(
      "Each rung adds one class of loss; the losses sum to the simulated time.\nExample:\n"
      "  attnsim explain workloads/configs/main-job.json");
  add_on_config(app, context, explain);
}

}  // namespace attnsim::cli
