// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/exit_code.h"
#include "sim/cli/progress.h"
#include "sim/cli/runner.h"
#include "sim/core/output_file.h"
#include "sim/predict/identity.h"
#include "validation/host_validation.h"
#include "validation/measured.h"
#include "validation/report.h"
#include "validation/validate.h"

namespace attnsim::cli {

namespace {

struct ValidateArguments {
  std::string measurements;
  std::string fit;
  std::vector<std::string> files;
  std::string split = "all";
  std::string engine = "automatic";
  std::string write_accuracy;
  bool rows = false;
  bool host = false;
  bool quick = false;
  std::string overlay;
  bool own = false;
  std::string own_folder;
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

// The rows of attnsim-bench beside their predictions, for the scatter chart.
Batch batch_of(const std::vector<OwnRow>& rows, const std::string& file) {
  Batch batch;
  std::size_t number = 0;
  for (const OwnRow& row : rows) {
    if (row.stale) continue;
    batch.validation_rows.push_back({file, std::to_string(++number) + " " + bench::label(row.row.shape), row.row.device.name,
                                     row.row.kernel.name, row.row.shape.q_len == 1 ? "decode" : "prefill", row.measured_us,
                                     row.predicted_us, row.unmapped});
  }
  return batch;
}

void run_host(const Context& context, const ValidateArguments& arguments, Store* store) {
  const auto start = std::chrono::steady_clock::now();
  HostOptions options;
  options.quick = arguments.quick;
  options.version = version_text();
  if (!context.quiet) options.say = [&](const std::string& what) { context.err << "attnsim: " << what << "\n" << std::flush; };
  OutputFile overlay(arguments.overlay);
  const HostValidation validation = validate_host(options);
  context.out << host_text(validation);
  if (overlay) overlay.commit(validation.overlay);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (store != nullptr) store->save(record_of(context), batch_of(validation.rows, "this machine"), elapsed.count());
  context.out.flush();
  if (!validation.passed()) throw ExitCode{1};
}

void run_own(const Context& context, const ValidateArguments& arguments, Store* store) {
  const auto start = std::chrono::steady_clock::now();
  OutputFile accuracy(arguments.write_accuracy);
  MeasuredValidation validation;
  {
    Progress progress(context.err, context.quiet, "predictions", 0);
    validation = validate_measured(arguments.own_folder.empty() ? default_own_measurements() : std::filesystem::path(arguments.own_folder),
                                   context.threads(), [&](std::size_t done, std::size_t total) { progress.set(done, total); });
  }
  context.out << (context.json ? measured_json(validation) : measured_text(validation));
  if (accuracy) accuracy.commit(measured_accuracy(validation, version_text()));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (store == nullptr) return;
  Batch batch;
  for (const MeasuredDevice& device : validation.devices) {
    const Batch part = batch_of(device.rows, device.folder);
    batch.validation_rows.insert(batch.validation_rows.end(), part.validation_rows.begin(), part.validation_rows.end());
  }
  store->save(record_of(context), batch, elapsed.count());
}

void run_validate(const Context& context, const ValidateArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  // Opened before the work, so that what can't be written is told at once.
  const auto store = context.database.empty() ? nullptr : std::make_unique<Store>(context.database);
  if (arguments.host) {
    run_host(context, arguments, store.get());
    return;
  }
  if (arguments.own) {
    run_own(context, arguments, store.get());
    return;
  }
  OutputFile accuracy(arguments.write_accuracy);
  ValidateOptions options;
  options.measurements = arguments.measurements;
  options.fit = arguments.fit;
  options.files = arguments.files;
  options.split = split_named(arguments.split);
  options.jobs = context.threads();
  options.engine = engine_named(arguments.engine);
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
  if (accuracy) accuracy.commit(accuracy_json(validation.outcomes, version_text()));
}

}  // namespace

void add_validate(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ValidateArguments>();
  app.add_option("--measurements", arguments->measurements,
                 "Folder of measurement files; default: shared measurements if there, else validation/published")
      ->type_name("DIR");
  app.add_option("--fit", arguments->fit, "Rows that the 3-parameter roofline is fitted on; default: the same rows")->type_name("DIR");
  app.add_option("--file", arguments->files, "Only these files: names in the folder, or paths")->type_name("NAME");
  app.add_option("--split", arguments->split, "calibration, test (rows that no fit saw) or all")->type_name("HALF")->capture_default_str();
  app.add_option("--engine", arguments->engine, "detailed, fast or automatic")
      ->check(CLI::IsMember({"detailed", "fast", "automatic"}))
      ->capture_default_str();
  app.add_option("--write-accuracy", arguments->write_accuracy,
                 "Also write the accuracy table that results are judged by; with --measured that of our own rows")
      ->type_name("FILE");
  app.add_flag("--rows", arguments->rows, "Also each row with measured and predicted microseconds");
  CLI::Option* host = app.add_flag(
      "--host", arguments->host,
      "Measures this machine's cores and kernels and compares; no GPU needed; exit 1 when a clear speedup is predicted the wrong way");
  app.add_flag("--quick", arguments->quick, "--host: fewer and shorter rows")->needs(host);
  app.add_option("--overlay", arguments->overlay, "--host: also writes the measured figures of chip host")
      ->type_name("FILE.json")
      ->needs(host);
  CLI::Option* own = app.add_option("--measured", arguments->own_folder,
                                    "Rows of attnsim-bench instead of published ones; default: validation/measurements")
                         ->type_name("DIR")
                         ->expected(0, 1)
                         ->excludes(host);
  app.footer(
      "Examples:\n  attnsim validate\n  attnsim validate --host --quick\n  attnsim validate --measured\n  attnsim validate --measurements "
      "../shared/measurements --json --rows > rows.json");
  app.callback([&context, arguments, own] {
    arguments->own = own->count() > 0;
    context.action = [&context, arguments] { run_validate(context, *arguments); };
  });
}

}  // namespace attnsim::cli
