// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/progress.h"
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

void run_validate(const Context& context, const Arguments& arguments) {
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
  app.add_option("--file", arguments->files, "Only these files of the folder")->type_name("NAME");
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
