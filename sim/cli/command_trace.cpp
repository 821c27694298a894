// SPDX-License-Identifier: Apache-2.0
// `trace`: one workload of a run config, played op by op and shown as a trace file or as text.
#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/core/error.h"
#include "sim/core/json_text.h"
#include "sim/core/output_file.h"
#include "sim/predict/identity.h"
#include "sim/predict/memo.h"
#include "sim/predict/run.h"
#include "sim/trace/chrome_trace.h"
#include "sim/trace/timeline.h"
#include "workloads/lower.h"

namespace attnsim::cli {

namespace {

struct TraceOptions {
  std::string config;
  std::string workload;
  std::string kernel;
  std::string sms = "0-3";
  std::string items;
  double from = 0;
  double to = std::numeric_limits<double>::infinity();
  std::int64_t max_events = 500000;
  std::string out;
  bool text = false;
  int rows = 48;
  int width = 140;
};

[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& problem, const std::string& allowed,
                         const std::string& nearest = "") {
  throw ConfigError(ConfigIssue{"command line", option, json_text::shown(Json(value)), problem, allowed, nearest});
}

// "3" or "0-3".
std::pair<std::int64_t, std::int64_t> range_of(const std::string& option, const std::string& text) {
  const auto number = [&](const std::string& digits) -> std::int64_t {
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
      refuse(option, text, "is no range", "NUMBER or FIRST-LAST");
    }
    return std::stoll(digits);
  };
  const std::size_t dash = text.find('-');
  const std::int64_t first = number(text.substr(0, dash));
  const std::int64_t last = dash == std::string::npos ? first : number(text.substr(dash + 1));
  if (last < first) refuse(option, text, "ends before it begins", "NUMBER or FIRST-LAST");
  return {first, last};
}

const WorkloadConfig& chosen_workload(const RunConfig& config, const std::string& name) {
  std::vector<std::string> names;
  for (const WorkloadConfig& workload : config.workloads) {
    if (name.empty() || workload.name == name) return workload;
    names.push_back(workload.name);
  }
  refuse("--workload", name, "is no workload of " + config.file, json_text::joined(names), nearest_name(name, names));
}

// A kernel by its name or its number in the pipeline; -1 without either.
int chosen_node(const ir::Pipeline& pipeline, const std::string& text) {
  if (text.empty()) return -1;
  std::vector<std::string> names;
  for (std::size_t n = 0; n < pipeline.nodes().size(); ++n) {
    if (!std::holds_alternative<ir::Kernel>(pipeline.nodes()[n].work)) continue;
    const std::string& name = pipeline.nodes()[n].name();
    if (text == name || text == std::to_string(n)) return static_cast<int>(n);
    names.push_back(name);
  }
  std::string allowed;
  for (std::size_t n = 0; n < pipeline.nodes().size(); ++n) {
    if (std::holds_alternative<ir::Kernel>(pipeline.nodes()[n].work))
      allowed += fmt::format("{}{} ({})", allowed.empty() ? "" : ", ", n, pipeline.nodes()[n].name());
  }
  refuse("--kernel", text, "is no kernel of the pipeline", allowed, nearest_name(text, names));
}

TraceWindow window_of(const TraceOptions& options, const ir::Pipeline& pipeline, const Chip& chip) {
  TraceWindow window;
  window.node = chosen_node(pipeline, options.kernel);
  const auto [first, last] = range_of("--sms", options.sms);
  if (first >= chip.sm.count) refuse("--sms", options.sms, "lies outside " + chip.name, fmt::format("0-{}", chip.sm.count - 1));
  window.first_sm = static_cast<int>(first);
  window.last_sm = static_cast<int>(std::min<std::int64_t>(last, chip.sm.count - 1));
  if (!options.items.empty()) std::tie(window.first_item, window.last_item) = range_of("--items", options.items);
  if (options.to < options.from)
    refuse("--to", fmt::format("{:g}", options.to), "lies before --from", fmt::format("{:g} or more", options.from));
  window.from_cycle = options.from;
  window.to_cycle = options.to;
  return window;
}

// A single kernel can be left where the window ends; of several, all are played.
void narrow_to_the_only_kernel(TraceWindow& window, const ir::Pipeline& pipeline) {
  if (window.node >= 0 || pipeline.nodes().size() != 1) return;
  window.node = 0;
}

// Plays the pipeline in detail at the clock that the run settles at. False when the listener left early.
bool play(const ir::Pipeline& pipeline, const Request& request, double clock_mhz, EngineListener& listener) {
  Conditions conditions = request.conditions;
  conditions.clock = ClockPolicy::locked;
  conditions.locked_mhz = clock_mhz;
  try {
    (void)simulate(pipeline, request.chip, conditions, {.kind = EngineKind::detailed, .listener = &listener});
  } catch (const TraceEnd&) {
    return false;
  }
  return true;
}

std::string title(const Request& request, double clock_mhz) {
  return fmt::format("{}: {}, {}, {} at {:.0f} MHz", request.workload, request.variant->name, request.schedule.name, request.chip.name,
                     clock_mhz);
}

void write_text(std::ostream& out, const ir::Pipeline& pipeline, const Request& request, const TraceOptions& options, TraceWindow window,
                double clock_mhz) {
  TimelineRecorder recorder(window, options.rows);
  (void)play(pipeline, request, clock_mhz, recorder);
  const std::vector<TimelineRow> rows = recorder.rows();
  out << title(request, clock_mhz) << '\n';
  if (!rows.empty()) out << fmt::format("kernel {}, SM {}, CTA {}; ", recorder.kernel_name(), rows.front().at.sm, rows.front().at.cta);
  out << timeline_text(rows, options.width);
  if (recorder.over_limit()) out << fmt::format("first {} steps of the window; --rows shows more, --from CYCLE others\n", options.rows);
}

void write_chrome(const Context& context, const ir::Pipeline& pipeline, const Request& request, const TraceOptions& options,
                  const TraceWindow& window, double clock_mhz) {
  OutputFile file(options.out);
  JsonEvents events(file.out(), {{"attnsim", version_text()},
                                 {"command", context.command_line},
                                 {"workload", request.workload},
                                 {"variant", request.variant->name},
                                 {"schedule", request.schedule.name},
                                 {"chip", request.chip.name},
                                 {"clock_mhz", clock_mhz},
                                 {"time_unit", "1 us shown = 1 SM cycle"}});
  ChromeTrace trace(events, window, options.max_events);
  const bool whole = play(pipeline, request, clock_mhz, trace);
  if (!whole) trace.flush();
  events.close();
  file.commit();
  context.out << title(request, clock_mhz) << '\n'
              << fmt::format("{}: {} events, SMs {}-{}, up to cycle {:.0f}; 1 us shown = 1 SM cycle; open it in ui.perfetto.dev\n",
                             options.out, events.written(), window.first_sm, window.last_sm, trace.last_cycle());
  if (trace.over_limit()) {
    context.out << fmt::format(
        "stopped at {} events, cycle {:.0f}: narrow the window (--sms, --from, --to, --items) or raise --max-events\n", options.max_events,
        trace.last_cycle());
  }
}

void trace(const Context& context, const TraceOptions& options) {
  if (!options.text && options.out.empty()) refuse("--out", "", "is missing", "a file for the trace, or --text");
  const RunConfig config = load_run_config(options.config);
  const WorkloadConfig& workload = chosen_workload(config, options.workload);
  Memo memo;
  const Request request = resolve_workload(config, workload, memo.predictor());
  const ir::Pipeline pipeline = located(config.file, workload.pointer, [&] {
    return lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
  });
  TraceWindow window = window_of(options, pipeline, request.chip);
  narrow_to_the_only_kernel(window, pipeline);
  const double clock_mhz = simulate(pipeline, request.chip, request.conditions, {.kind = request.engine}).clock_mhz;
  if (!options.text) {
    write_chrome(context, pipeline, request, options, window, clock_mhz);
  } else if (options.out.empty()) {
    write_text(context.out, pipeline, request, options, window, clock_mhz);
  } else {
    OutputFile file(options.out);
    write_text(file.out(), pipeline, request, options, window, clock_mhz);
    file.commit();
  }
}

}  // namespace

void add_trace(CLI::App& app, Context& context) {
  app.footer(
      "Times are SM cycles since the kernel's start. Without --kernel a JSON trace shows all kernels one after another.\n"
      "Examples:\n"
      "  attnsim trace workloads/configs/toy.json --out toy-trace.json\n"
      "  attnsim trace workloads/configs/main-job.json --workload one-head-32k-window-2k --sms 0-1 --to 20000 --out t.json\n"
      "  attnsim trace workloads/configs/toy.json --text --rows 60 --width 160");
  const auto options = std::make_shared<TraceOptions>();
  app.add_option("config", options->config, "Run config")->required()->type_name("CONFIG.json");
  app.add_option("--workload", options->workload, "Name of the workload; the first one otherwise")->type_name("NAME");
  app.add_option("--kernel", options->kernel, "Number or name of the kernel in the pipeline; all otherwise")->type_name("KERNEL");
  app.add_option("--sms", options->sms, "SMs to show; --text shows the first (default 0-3)")->type_name("RANGE");
  app.add_option("--items", options->items, "Items to show, by position in the grid; all otherwise")->type_name("RANGE");
  app.add_option("--from", options->from, "First cycle")->type_name("CYCLE")->check(CLI::NonNegativeNumber);
  app.add_option("--to", options->to, "Last cycle; a single kernel is not played beyond it")
      ->type_name("CYCLE")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--out", options->out, "File to write; --text writes to the terminal otherwise")->type_name("FILE");
  app.add_option("--max-events", options->max_events, "Events at most (default 500000)")->type_name("N")->check(CLI::PositiveNumber);
  app.add_flag("--text", options->text, "Timeline of one CTA as text");
  app.add_option("--rows", options->rows, "Rows of the text timeline (default 48)")->type_name("N")->check(CLI::Range(1, 10000));
  app.add_option("--width", options->width, "Columns of the text timeline (default 140)")->type_name("N")->check(CLI::Range(100, 400));
  app.callback([&context, options] { context.action = [&context, options] { trace(context, *options); }; });
}

}  // namespace attnsim::cli
