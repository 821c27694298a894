// SPDX-License-Identifier: Apache-2.0
// `graph` and `program`: the tile programs that a run config lowers to.
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/ir/pipeline.h"
#include "sim/predict/memo.h"
#include "sim/predict/run.h"
#include "workloads/lower.h"

namespace attnsim::cli {

namespace {

using Printer = std::string (*)(const ir::Pipeline&);

void print_pipelines(const Context& context, const std::string& file, Printer printer) {
  const RunConfig config = load_run_config(file);
  Memo memo;
  for (const WorkloadConfig& workload : config.workloads) {
    const Request request = resolve_workload(config, workload, memo.predictor());
    const ir::Pipeline pipeline = located(config.file, workload.pointer, [&] {
      return lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
    });
    context.out << printer(pipeline) << '\n';
  }
}

void add_printer(CLI::App& app, Context& context, Printer printer) {
  const auto file = std::make_shared<std::string>();
  app.add_option("config", *file, "Run config")->required()->type_name("CONFIG.json");
  app.callback([&context, file, printer] { context.action = [&context, file, printer] { print_pipelines(context, *file, printer); }; });
}

}  // namespace

void add_graph(CLI::App& app, Context& context) {
  app.footer("Example:\n  attnsim graph workloads/configs/toy.json | dot -Tsvg > toy.svg");
  add_printer(app, context, [](const ir::Pipeline& pipeline) { return ir::to_graphviz(pipeline); });
}

void add_program(CLI::App& app, Context& context) {
  add_printer(app, context, [](const ir::Pipeline& pipeline) { return ir::to_text(pipeline); });
}

}  // namespace attnsim::cli
