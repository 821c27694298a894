// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/cli.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <thread>

#include "sim/cli/command.h"
#include "sim/cli/exit_code.h"
#include "sim/core/error.h"
#include "sim/predict/identity.h"

namespace attnsim::cli {

namespace {

struct Command {
  std::string_view name;
  std::string_view description;
  void (*add)(CLI::App&, Context&);
};

constexpr std::array<Command, 13> kCommands{{
    {"run", "Predict the workloads of a run config: ladder of bounds, simulated time, bottleneck, standing", add_run},
    {"explain", "Why not faster: waterfall of losses, idle cycles and their reasons, critical sequence, counters, what would help",
     add_explain},
    {"sweep", "Predict a grid of what-ifs; goes on where it was killed", add_sweep},
    {"tune", "Rank strides, tile shapes and schedules of a neighbourhood by predicted time", add_tune},
    {"validate", "Compare predictions with published GPU timings", add_validate},
    {"calibrate", "Fit parameters of a chip to measured rows; judge them on rows that the fit did not see", add_calibrate},
    {"import", "Measured rows from Nsight Compute, PyTorch's profiler, NATTEN's profiler or a CSV", add_import},
    {"list", "Names of what ships: variants, schedules, chips, rungs, metrics, effects, harnesses, parameters", add_list},
    {"show", "Everything about one variant, schedule, chip or harness, with sources", add_show},
    {"graph", "The tile programs of a run config as Graphviz text", add_graph},
    {"program", "The tile programs of a run config in the text form of docs/ir.md", add_program},
    {"trace", "A window of a run as a Perfetto/Chrome trace, or as a text timeline", add_trace},
    {"dump", "Results of a database, in an order that does not depend on who wrote them when", add_dump},
}};

constexpr const char* kFooter = R"(Examples:
  attnsim run workloads/configs/main-job.json --db results.sqlite
  attnsim explain workloads/configs/main-job.json
  attnsim sweep workloads/configs/main-sweep.json --db results.sqlite --jobs 8
  attnsim list schedules
  attnsim show h100-sxm --fitted
  attnsim graph workloads/configs/toy.json | dot -Tsvg > toy.svg

A run config names a chip, workloads (variant, schedule, shape) and what to compare with:
  {"chip": "h100-sxm",
   "workloads": [{"name": "prefill", "variant": "causal", "schedule": "auto",
                  "shape": {"batch": 1, "q_heads": 32, "kv_heads": 8, "q_len": 8192, "head_dim": 128}}]}
Editors complete it from workloads/run.schema.json when it names that file under "$schema".

Exit codes: 0 done, 1 a fit that was refused, 2 a mistake in a config or on the command line, 3 the model can't go on, 4 a bug of attnsim.)";

void print_error(std::ostream& err, const std::string& text) {
  std::string line;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    err << "attnsim: error: " << text.substr(begin, end - begin) << '\n';
    begin = end + 1;
  }
}

std::string unknown_command(const std::string& name) {
  std::vector<std::string> names;
  std::string allowed;
  for (const Command& command : kCommands) {
    names.emplace_back(command.name);
    allowed += (allowed.empty() ? "" : ", ") + names.back();
  }
  const std::string nearest = nearest_name(name, names);
  return '"' + name + "\" is no command; allowed: " + allowed + (nearest.empty() ? "" : "; nearest: \"" + nearest + '"');
}

bool is_command(std::string_view name) {
  return std::any_of(kCommands.begin(), kCommands.end(), [&](const Command& c) { return c.name == name; });
}

int parse_and_run(CLI::App& app, Context& context, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success, context.out, context.err);
  } catch (const CLI::ParseError& error) {
    print_error(context.err, std::string(error.what()) + "; see attnsim --help");
    return 2;
  }
  context.action();
  context.out.flush();
  return context.exit_code;
}

}  // namespace

int Context::threads() const {
  if (jobs > 0) return jobs;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int run_command_line(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) {
    print_error(err, unknown_command(argv[1]));
    return 2;
  }
  Context context(out, err);
  for (int i = 0; i < argc; ++i) context.command_line += (i == 0 ? "" : " ") + std::string(argv[i]);
  CLI::App app("Predicts how fast an attention variant can run on a GPU, and why not faster.", "attnsim");
  app.footer(kFooter);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.json, "Print one JSON document instead of text");
  app.add_flag("--quiet", context.quiet, "No progress line");
  app.add_option("--db", context.database, "SQLite file for results (overrides outputs.db of the config)")->type_name("FILE");
  app.add_option("--jobs", context.jobs, "Threads; 0 = all cores")->type_name("N")->check(CLI::Range(0, 4096));
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.description));
    command.add(*sub, context);
  }
  try {
    return parse_and_run(app, context, argc, argv);
  } catch (const ExitCode& exit) {
    return exit.code;
  } catch (const ConfigError& error) {
    print_error(err, error.what());
    return 2;
  } catch (const SimError& error) {
    print_error(err, error.what());
    return 3;
  } catch (const std::exception& error) {
    print_error(err, std::string("internal: ") + error.what() + " (a bug; please report it with the config)");
    return 4;
  }
}

}  // namespace attnsim::cli
