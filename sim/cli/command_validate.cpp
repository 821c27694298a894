// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/progress.h"
#include "sim/cli/runner.h"
#include "sim/predict/identity.h"
#include "validation/report.h"
#include "validation/validate.h"

namespace attnsim::cli {

namespace {

struct Arguments {
  std::string measurements;
  std::string fit;
  std::vector<std::string> files;
  std::string split = "all";
  std::string engine = "automatic";
  std::string write_accuracy;
  bool rows = false;
};

// Rows beside their predictions, for the scatter chart.
Batch batch_of(const std::vector<RowOutcome>& outcomes) {
  Batch batch;
  for (const RowOutcome& outcome : outcomes) {
    const MeasuredRow& row = outcome.row;
    const std::string reason = outcome.unmapped.empty() ? "no prediction" : outcome.unmapped;
    batch.validation_rows.push_back(
        {row.file, row.id, row.device, row.kernel, row.phase, row.measured_us, outcome.predicted_us, outcome.predicted_us ? "" : reason});
  }
  return batch;
}

void run_validate(const Context& context, const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  // Opened before the work, so that a database that can't be written is told at once.
  const auto store = context.database.empty() ? nullptr : std::make_unique<Store>(context.database);
  ValidateOptions options;
  options.measurements = arguments.measurements;
  options.fit = arguments.fit;
  options.files = arguments.files;
  options.split = split_named(arguments.split);
  options.jobs = context.threads();
  options.engine = arguments.engine == "detailed" ? EngineKind::detailed
                   : arguments.engine == "fast"   ? EngineKind::fast
                                                  : EngineKind::automatic;
  Validation validation;
  {
    Progress progress(context.err, context.quiet, "predictions", 0);
    options.progress = [&](std::size_t done, std::size_t total) { progress.set(done, total); };
    validation = validate(options);
  }
  if (store) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    store->save(record_of(context), batch_of(validation.outcomes), elapsed.count());
  }
  if (context.json)
    context.out << report_json(validation.groups, validation.outcomes, arguments.rows);
  else
    context.out << report_text(validation.groups, validation.outcomes, arguments.rows);
  if (!arguments.write_accuracy.empty()) write_accuracy(arguments.write_accuracy, validation, version_text());
}

}  // namespace

void add_validate(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("--measurements", arguments->measurements,
                 "Folder of measurement files; default: shared measurements if there, else validation/published")
      ->type_name("DIR");
  app.add_option("--fit", arguments->fit, "Rows that the 3-parameter roofline is fitted on; default: the same rows")->type_name("DIR");
  app.add_option("--file", arguments->files, "Only these files: names in the folder, or paths")->type_name("NAME");
  app.add_option("--split", arguments->split, "calibration, test (rows that no fit saw) or all")->type_name("HALF")->capture_default_str();
  app.add_option("--engine", arguments->engine, "detailed, fast or automatic")
      ->check(CLI::IsMember({"detailed", "fast", "automatic"}))
      ->capture_default_str();
  app.add_option("--write-accuracy", arguments->write_accuracy, "Also write the accuracy table that results are judged by")
      ->type_name("FILE");
  app.add_flag("--rows", arguments->rows, "Also each row with measured and predicted microseconds");
  app.footer("Examples:\n  attnsim validate\n  attnsim validate --measurements ../shared/measurements --json --rows > rows.json");
  app.callback([&context, arguments] { context.action = [&context, arguments] { run_validate(context, *arguments); }; });
}

}  // namespace attnsim::cli
