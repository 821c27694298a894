// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <ostream>

#include "hwmodels/chip_loader.h"
#include "sim/cli/command.h"
#include "sim/cli/progress.h"
#include "sim/cli/report_calibrate.h"
#include "sim/core/output_file.h"
#include "validation/measured.h"

namespace attnsim::cli {

namespace {

struct CalibrateArguments {
  std::string chip, harness, measurements, microbenchmarks, device, start = "overlay", engine = "automatic", write, write_harness;
  std::string own_rows;
  std::vector<std::string> files, parameters, held;
  std::size_t rows = 120, unseen_rows = 0;
  std::uint64_t seed = 1;
  int most_evaluations = 200;
  bool with_own_rows = false;
  [[nodiscard]] bool has_rows() const { return with_own_rows || !files.empty(); }
};

CalibrateOptions options_of(const Context& context, const CalibrateArguments& arguments) {
  CalibrateOptions options;
  options.chip = arguments.chip;
  options.harness = arguments.harness;
  options.measurements = arguments.measurements;
  options.files = arguments.files;
  if (arguments.with_own_rows)
    options.own_rows = arguments.own_rows.empty() ? default_own_measurements() : std::filesystem::path(arguments.own_rows);
  options.parameters = arguments.parameters;
  options.start = arguments.start == "base" ? StartFrom::base : StartFrom::overlay;
  options.most_rows = arguments.rows;
  options.most_unseen = arguments.unseen_rows;
  options.seed = arguments.seed;
  options.solver.most_evaluations = arguments.most_evaluations;
  options.evaluation.jobs = context.threads();
  options.evaluation.engine = engine_named(arguments.engine);
  return options;
}

void check(const CalibrateArguments& arguments) {
  std::vector<ConfigIssue> issues;
  if (!arguments.has_rows() && arguments.microbenchmarks.empty())
    issues.push_back({"command line", "--file", "", "is missing",
                      "--file ROWS.csv, --measured for rows of attnsim-bench, or --microbenchmarks FILE for the table alone", ""});
  if (!arguments.has_rows() && !(arguments.write.empty() && arguments.write_harness.empty()))
    issues.push_back({"command line", "--write", "", "needs rows that judge what is written", "--file ROWS.csv or --measured", ""});
  if (!arguments.held.empty() && arguments.microbenchmarks.empty())
    issues.push_back({"command line", "--hold", "", "needs --microbenchmarks FILE", "", ""});
  if (!arguments.write_harness.empty() && arguments.harness.empty())
    issues.push_back({"command line", "--write-harness", "", "needs --harness NAME", "", ""});
  if (!issues.empty()) throw ConfigError(std::move(issues));
}

void run_calibrate(Context& context, const CalibrateArguments& arguments) {
  check(arguments);
  CalibrateOptions options = options_of(context, arguments);
  Json json = Json::object();
  std::string text;
  if (!arguments.microbenchmarks.empty()) {
    const MicrobenchmarkTable table = compare_microbenchmarks(arguments.microbenchmarks, load_chip(arguments.chip), arguments.device);
    options.measured = settable_figures(table, arguments.held);
    text += microbenchmarks_text(table);
    json["microbenchmarks"] = microbenchmarks_json(table);
  }
  if (arguments.has_rows()) {
    OutputFile overlay(arguments.write);
    OutputFile harness(arguments.write_harness);
    Progress progress(context.err, context.quiet, "predictions", 0);
    options.evaluation.progress = [&](std::size_t done, std::size_t total) { progress.set(done, total); };
    const Calibration calibration = calibrate(options);
    text += (text.empty() ? "" : "\n") + calibration_text(calibration);
    json["calibration"] = calibration_json(calibration);
    context.exit_code = calibration.accepted ? 0 : 1;
    const auto write = [&text](OutputFile& file, const Json& document) {
      if (!file || document.is_null()) return;
      file.commit(document.dump(2) + "\n");
      text += "written: " + file.path() + "\n";
    };
    if (calibration.accepted) {
      write(overlay, overlay_of(calibration));
      write(harness, harness_of(calibration));
    } else if (overlay || harness) {
      text += "nothing written\n";
    }
  }
  if (context.json)
    context.out << json.dump(2) << '\n';
  else
    context.out << text;
}

}  // namespace

void add_calibrate(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<CalibrateArguments>();
  app.add_option("chip", arguments->chip, "Chip whose figures are fitted (attnsim list chips)")->required()->type_name("CHIP");
  app.add_option("--file", arguments->files, "Measured rows: names of files in the folder of measurements, or paths")
      ->type_name("ROWS.csv");
  CLI::Option* own = app.add_option("--measured", arguments->own_rows,
                                    "Rows of attnsim-bench with the overlay of its microbenchmarks, beside those of --file; default: "
                                    "validation/measurements")
                         ->type_name("DIR")
                         ->expected(0, 1);
  app.add_option("--measurements", arguments->measurements, "Folder of measurement files, as for validate")->type_name("DIR");
  app.add_option("--harness", arguments->harness, "Only rows timed with this harness; its members may be fitted too")->type_name("NAME");
  app.add_option("--parameters", arguments->parameters,
                 "What to fit (attnsim list parameters); default: what overlay and harness name as fitted; none: only judge")
      ->delimiter(',')
      ->type_name("A,B,C");
  app.add_option("--start", arguments->start, "Start from, and compare with, the shipped overlay or the base file")
      ->check(CLI::IsMember({"overlay", "base"}))
      ->capture_default_str();
  app.add_option("--microbenchmarks", arguments->microbenchmarks,
                 "Published microbenchmarks; prints what they say beside the chip's figures")
      ->type_name("FILE.csv");
  app.add_option("--device", arguments->device, "Take the microbenchmarks of this device; default: every name of the chip")
      ->type_name("NAME");
  app.add_option("--hold", arguments->held, "Figures to set to the value that --microbenchmarks gives, with status measured")
      ->delimiter(',')
      ->type_name("A,B,C");
  app.add_option("--write", arguments->write, "Write the overlay here, if the fit is accepted")->type_name("OVERLAY.json");
  app.add_option("--write-harness", arguments->write_harness, "Write the harness here, if the fit is accepted")->type_name("HARNESS.json");
  app.add_option("--rows", arguments->rows, "Most rows of the fit; 0: all calibration rows")->capture_default_str();
  app.add_option("--unseen-rows", arguments->unseen_rows, "Most rows that judge, thinned in the same way; 0: all")->capture_default_str();
  app.add_option("--seed", arguments->seed, "Seed of the sample")->capture_default_str();
  app.add_option("--max-evaluations", arguments->most_evaluations, "Most sets of parameters that the solver tries")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  app.add_option("--engine", arguments->engine, "detailed, fast or automatic")
      ->check(CLI::IsMember({"detailed", "fast", "automatic"}))
      ->capture_default_str();
  app.footer(
      "Half of the rows, by a hash of what was timed, takes part in the fit; the other half judges it. Exit code 1: those got worse, and\n"
      "nothing was written. Examples:\n"
      "  attnsim calibrate a100-sxm-80gb --harness vllm-replay-a100 --file library_attention.csv --start base\n"
      "  attnsim calibrate host --measured --write host.json\n"
      "  attnsim calibrate l40s --file library_attention.csv --parameters hbm.efficiency,latency.l2_cycles --write l40s.json\n"
      "  attnsim calibrate a100-sxm-80gb --microbenchmarks ../shared/measurements/microbenchmarks.csv");
  app.callback([&context, arguments, own] {
    arguments->with_own_rows = own->count() > 0;
    context.action = [&context, arguments] { run_calibrate(context, *arguments); };
  });
}

}  // namespace attnsim::cli
