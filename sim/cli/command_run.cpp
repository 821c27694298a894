// SPDX-License-Identifier: Apache-2.0
// `run` and `explain`: the same predictions, told briefly and in full.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/report.h"
#include "sim/cli/runner.h"
#include "sim/cli/switches.h"
#include "sim/core/json_text.h"

namespace attnsim::cli {

namespace {

// Opened before the work, so that a database that can't be written is told at once.
std::unique_ptr<Store> open_store(const Context& context, const RunConfig& config) {
  const std::string file = context.database.empty() ? config.database : context.database;
  return file.empty() ? nullptr : std::make_unique<Store>(file);
}

struct Options {
  std::string file;
  std::vector<std::string> without;
  std::string workload;
  std::string measured;
  bool brief = false;
};

RunConfig load(const Options& options) {
  RunConfig config = load_run_config(options.file);
  config.harness.conditions.without.merge(parse_effects(options.without));
  return config;
}

void run(const Context& context, const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const RunConfig config = load(options);
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

// Leaves the named workload alone in the config; one that is the baseline of the others can't go.
void keep_only(RunConfig& config, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < config.workloads.size(); ++i) {
    names.push_back(config.workloads[i].name);
    if (config.workloads[i].name != name) continue;
    if (config.baseline.mode == BaselineMode::workload && config.baseline.workload != i) {
      config.workloads = {config.workloads[i], config.workloads[config.baseline.workload]};
      config.baseline.workload = 1;
    } else {
      config.workloads = {config.workloads[i]};
      config.baseline.workload = 0;
    }
    return;
  }
  throw ConfigError(
      {"command line", "/workload", '"' + name + '"', "is no workload of the config", json_text::joined(names), nearest_name(name, names)});
}

void explain(const Context& context, const Options& options) {
  RunConfig config = load(options);
  if (!options.workload.empty()) keep_only(config, options.workload);
  if (!options.measured.empty()) {
    const double us = parse_time_us(options.measured);
    if (options.workload.empty() && config.workloads.size() > 1)
      throw ConfigError({"command line", "/measured", '"' + options.measured + '"', "needs --workload: the config has several workloads",
                         config.workloads.front().name + ", ...", ""});
    config.workloads.front().measured_us = us;
  }
  const Explained all = explain_parallel(config, {.what_would_help = !options.brief}, context);
  if (context.json)
    context.out << explain_json(config, all.outcomes, all.explanations).dump(2) << '\n';
  else
    context.out << explain_text(config, all.outcomes, all.explanations);
}

std::shared_ptr<Options> add_on_config(CLI::App& app, Context& context, void (*work)(const Context&, const Options&)) {
  const auto options = std::make_shared<Options>();
  app.add_option("config", options->file, "Run config (JSON; schema workloads/run.schema.json)")->required()->type_name("CONFIG.json");
  app.add_option("--without", options->without, "Switch effects off by name (attnsim list effects)")->type_name("EFFECT[,EFFECT...]");
  app.callback([&context, options, work] { context.action = [&context, options, work] { work(context, *options); }; });
  return options;
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  app.footer("Example:\n  attnsim run workloads/configs/main-job.json --db results.sqlite");
  add_on_config(app, context, run);
}

void add_explain(CLI::App& app, Context& context) {
  const std::shared_ptr<Options> options = add_on_config(app, context, explain);
  app.add_option("--workload", options->workload, "Only this workload of the config")->type_name("NAME");
  app.add_option("--measured", options->measured, "A real kernel's time: ranks what would explain it")->type_name("TIME");
  app.add_flag("--brief", options->brief, "Leave out what would help: the predictions with every figure and parameter changed");
  app.footer(
      "Each rung adds one class of loss; the losses sum to the simulated time. The reasons of a resource's idle cycles sum to the\n"
      "cycles in which it is idle. Examples:\n"
      "  attnsim explain workloads/configs/main-job.json\n"
      "  attnsim explain workloads/configs/main-job.json --workload llama-8b-prefill-8k --measured 1.2ms\n"
      "  attnsim explain workloads/configs/toy.json --brief --without clock,l2_contention");
}

}  // namespace attnsim::cli
