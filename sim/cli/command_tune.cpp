// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/progress.h"
#include "sim/cli/table.h"
#include "sim/core/json_reader.h"
#include "sim/core/output_file.h"
#include "sim/predict/tune.h"
#include "workloads/masks/gna.h"

namespace attnsim::cli {

namespace {

struct TuneArguments {
  std::string config, chip, layout, dilation, causal, dtype, tokens, harness, front;
  std::vector<std::string> windows, strides, backends;
  std::int64_t batch = 0, heads = 0, head_dim = 0, top = 0;
};

// The config file with the options set on it; options alone are a document too.
JsonDocument document_of(const TuneArguments& a) {
  JsonDocument document = a.config.empty() ? JsonDocument{"command line", Json::object()} : read_json_file(a.config);
  if (!document.root.is_object()) return document;
  const auto set = [&](const char* key, const auto& value, bool given) {
    if (given) document.root[key] = value;
  };
  using Text = std::pair<const char*, std::string>;
  for (const auto& [key, value] : {Text{"chip", a.chip}, Text{"layout", a.layout}, Text{"dilation", a.dilation}, Text{"causal", a.causal},
                                   Text{"dtype", a.dtype}, Text{"tokens", a.tokens}, Text{"harness", a.harness}})
    set(key, value, !value.empty());
  set("windows", a.windows, !a.windows.empty());
  set("strides", a.strides, !a.strides.empty());
  set("schedules", a.backends, !a.backends.empty());
  using Number = std::pair<const char*, std::int64_t>;
  for (const auto& [key, value] :
       {Number{"batch", a.batch}, Number{"heads", a.heads}, Number{"head_dim", a.head_dim}, Number{"top", a.top}})
    set(key, value, value != 0);
  return document;
}

Json candidate_json(const TuneCandidate& c, const Tuning& tuning) {
  Json json{{"schedule", c.schedule},           {"window", text(c.window)},
            {"stride", text(c.stride)},         {"q_tile", text(c.q_tile)},
            {"kv_tile", text(c.kv_tile)},       {"equal_strides", c.equal_strides},
            {"block_sparse", c.block_sparse},   {"sparsity", c.sparsity},
            {"tile_sparsity", c.tile_sparsity}, {"kv_tiles", c.kv_tiles},
            {"visited_most", c.visited_most},   {"visited_mean", c.visited_mean},
            {"bound_us", c.bound_us},           {"front", c.front}};
  json["time_us"] = c.time_us ? Json(*c.time_us) : Json(nullptr);
  json["speedup"] = c.time_us ? Json(tuning.dense_us / *c.time_us) : Json(nullptr);
  return json;
}

Json tuning_json(const TuneConfig& config, const Tuning& tuning) {
  Json json{{"chip", config.chip.name},
            {"layout", text(config.layout)},
            {"harness", config.harness},
            {"dense", {{"schedule", tuning.dense_schedule}, {"time_us", tuning.dense_us}}},
            {"candidates", Json::array()}};
  for (const TuneCandidate& c : tuning.candidates)
    if (c.time_us) json["candidates"].push_back(candidate_json(c, tuning));
  return json;
}

void add_line(TextTable& table, std::size_t place, const TuneCandidate& c, const Tuning& tuning) {
  table.add({place == 0 ? "" : std::to_string(place), c.schedule, text(c.window), text(c.stride), text(c.q_tile), text(c.kv_tile),
             microseconds(c.time_us), times(tuning.dense_us / *c.time_us), fmt::format("{:.1f} of {}", c.visited_mean, c.kv_tiles),
             c.block_sparse ? "yes" : "no", percent(c.tile_sparsity), percent(c.sparsity), std::to_string(c.equal_strides)});
}

std::string tuning_text(const TuneConfig& config, const Tuning& tuning) {
  const std::vector<std::string> header{"#",       "schedule", "window",         "stride",       ">q tile",         ">kv tile",
                                        ">time",   ">speedup", ">tiles visited", "block-sparse", ">tiles left out", ">pairs left out",
                                        ">strides"};
  const auto simulated =
      std::count_if(tuning.candidates.begin(), tuning.candidates.end(), [](const auto& c) { return c.time_us.has_value(); });
  std::string out = fmt::format("layout {} on {}, batch {}, heads {}, head_dim {}, {}; harness {}\n", text(config.layout), config.chip.name,
                                config.problem.batch, config.problem.q_heads, config.problem.head_dim_qk, ir::name_of(config.problem.dtype),
                                config.harness);
  out += fmt::format("{} strides and tile shapes, {} that differ in work, {} simulated; dense ({}): {}\n", tuning.strides_seen,
                     tuning.candidates.size(), simulated, tuning.dense_schedule, microseconds(tuning.dense_us));
  if (tuning.refused > 0) out += fmt::format("{} not legal: {}\n", tuning.refused, tuning.refusal);
  TextTable ranking(header), front(header);
  std::size_t place = 0;
  for (const TuneCandidate& c : tuning.candidates) {
    if (!c.time_us) break;
    if (++place <= config.top) add_line(ranking, place, c, tuning);
    if (c.front) add_line(front, place, c, tuning);
  }
  out += "\n" + ranking.render(2, 200);
  out += "\nfront: none is as sparse, of as small a stride, and faster\n" + front.render(2, 200);
  for (const Extents& window : config.windows) {
    const TuneCandidate* smallest = nullptr;
    for (const TuneCandidate& c : tuning.candidates)
      if (c.block_sparse && c.window == window && (smallest == nullptr || volume(c.stride) < volume(smallest->stride))) smallest = &c;
    out += smallest == nullptr ? fmt::format("\nwindow {}: no stride tried is fully block-sparse\n", text(window))
                               : fmt::format("\nwindow {}: smallest stride tried that is fully block-sparse is {} (tiles {} and {})\n",
                                             text(window), text(smallest->stride), text(smallest->q_tile), text(smallest->kv_tile));
  }
  return out;
}

void run_tune(Context& context, const TuneArguments& arguments) {
  const TuneConfig config = parse_tune_config(document_of(arguments));
  OutputFile front(arguments.front);
  Progress progress(context.err, context.quiet, "predictions", 0);
  const Tuning tuning = tune(config, context.threads(), [&] { progress.step(); });
  if (front) front.commit(tuning_json(config, tuning).dump(2) + "\n");
  if (context.json)
    context.out << tuning_json(config, tuning).dump(2) << '\n';
  else
    context.out << tuning_text(config, tuning);
}

}  // namespace

void add_tune(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<TuneArguments>();
  app.add_option("config", arguments->config, "Tune config (JSON; schema workloads/tune.schema.json); options override it")
      ->type_name("CONFIG.json");
  app.add_option("--chip", arguments->chip, "attnsim list chips")->type_name("CHIP");
  app.add_option("--layout", arguments->layout, "Tokens per axis, one to three, the last fastest")->type_name("30x48x80");
  app.add_option("--window", arguments->windows, "Keys that a query keeps per axis; several are tuned together")
      ->delimiter(',')
      ->type_name("18x24x24");
  app.add_option("--stride", arguments->strides, "Strides to try; default: per axis 1, powers of two, the window")
      ->delimiter(',')
      ->type_name("1x8x8");
  app.add_option("--dilation", arguments->dilation, "Distance of neighbouring keys per axis")->type_name("1x2x2");
  app.add_option("--causal", arguments->causal, "1 for causal axes")->type_name("1x0x0");
  app.add_option("--batch", arguments->batch, "Batch")->check(CLI::PositiveNumber);
  app.add_option("--heads", arguments->heads, "Heads")->check(CLI::PositiveNumber);
  app.add_option("--head-dim", arguments->head_dim, "Columns of Q, K and V")->check(CLI::PositiveNumber);
  app.add_option("--dtype", arguments->dtype, "bf16 or f16");
  app.add_option("--tokens", arguments->tokens, "layout: with the kernels that permute tokens; boxes: the attention kernel alone");
  app.add_option("--backend", arguments->backends, "Schedules with tile shapes; default: the chip's newest")
      ->delimiter(',')
      ->type_name("SCHEDULE");
  app.add_option("--harness", arguments->harness, "attnsim list harnesses")->type_name("NAME");
  app.add_option("--top", arguments->top, "Places that are surely right")->check(CLI::PositiveNumber);
  app.add_option("--out", arguments->front, "Also write the candidates here as JSON: what scripts/tune_chart.py draws")
      ->type_name("TUNE.json");
  app.footer(
      "Examples:\n"
      "  attnsim tune --chip h100-sxm --layout 32768 --window 2048\n"
      "  attnsim tune workloads/configs/tune.json --out tune.json\n"
      "  attnsim tune --chip a100-sxm-80gb --layout 30x48x80 --window 18x24x24 --stride 1 --heads 24");
  app.callback([&context, arguments] { context.action = [&context, arguments] { run_tune(context, *arguments); }; });
}

}  // namespace attnsim::cli
