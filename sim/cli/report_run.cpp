// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sim/cli/report.h"
#include "sim/cli/table.h"
#include "sim/predict/identity.h"
#include "sim/result/compare.h"

namespace attnsim::cli {

namespace {

std::string lengths_text(const std::vector<std::int64_t>& lengths) {
  const auto [low, high] = std::minmax_element(lengths.begin(), lengths.end());
  if (*low == *high) return std::to_string(*low);
  return fmt::format("{}..{} (ragged)", *low, *high);
}

std::string ladder_table(const Outcome& outcome) {
  TextTable table({"rung", ">time", ">promise", ">bound", "limited by"});
  const Comparison comparison = compare(outcome.result.ladder, outcome.baseline.ladder);
  for (const RungInfo& info : rungs()) {
    const auto i = static_cast<std::size_t>(info.rung);
    if (!outcome.result.ladder.time_us[i]) continue;
    table.add({std::string(info.name), microseconds(outcome.result.ladder.time_us[i]), times(comparison.promise[i]),
               times(comparison.bound[i]), outcome.result.ladder.limiter[i]});
  }
  return table.render(2);
}

std::string harness_parts(const Result& result) {
  std::string text;
  double launches = 0;
  for (const KernelResult& kernel : result.kernels) launches += kernel.launch_us;
  if (launches > 0) text += fmt::format("launches {}", microseconds(launches));
  for (const auto& [name, us] : result.harness_us) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, microseconds(us));
  return text.empty() ? "none" : text;
}

std::string facts(const Outcome& outcome) {
  TextTable table({"", ""});
  table.add({"bottleneck", outcome.result.bottleneck});
  table.add({"standing", outcome.result.standing});
  table.add({"baseline", fmt::format("{}, {} ({}): {}", outcome.baseline.variant, outcome.baseline.schedule, outcome.baseline_how,
                                     microseconds(outcome.baseline.ladder.at(Rung::simulated)))});
  table.add({"inside", harness_parts(outcome.result)});
  const std::string text = table.render(2);
  return text.substr(text.find('\n') + 1);  // no header
}

Json number_or_null(std::optional<double> value) {
  return value ? Json(*value) : Json(nullptr);
}

Json ladder_json(const Ladder& ladder) {
  Json list = Json::array();
  for (const RungInfo& info : rungs()) {
    const auto i = static_cast<std::size_t>(info.rung);
    if (ladder.time_us[i])
      list.push_back({{"rung", std::string(info.name)}, {"time_us", *ladder.time_us[i]}, {"limiter", ladder.limiter[i]}});
  }
  return list;
}

Json kernel_json(const KernelResult& kernel) {
  Json resources = Json::array();
  for (const ResourceUse& use : kernel.resources)
    resources.push_back(
        {{"resource", std::string(name_of(use.resource))}, {"busy_fraction", use.busy_fraction}, {"idle_fraction", use.idle_fraction}});
  return {{"name", kernel.name},           {"time_us", kernel.time_us},           {"start_us", kernel.start_us},
          {"launch_us", kernel.launch_us}, {"limiter", kernel.limiter},           {"items", kernel.items},
          {"ctas", kernel.ctas},           {"ctas_per_sm", kernel.ctas_per_sm},   {"l2_hit_rate", kernel.l2_hit_rate},
          {"spread", kernel.spread},       {"extrapolated", kernel.extrapolated}, {"ladder", ladder_json(kernel.ladder)},
          {"resources", resources}};
}

}  // namespace

std::string score_text(const Score& score) {
  std::string text;
  if (score.softcap > 0) text += fmt::format(", softcap {:g}", score.softcap);
  if (score.alibi) text += ", alibi";
  if (!score.bias_radius.empty()) text += fmt::format(", bias {}", fmt::join(score.bias_radius, "x"));
  return text;
}

std::string shape_text(const Problem& p) {
  if (p.k > 0) return fmt::format("m {}, n {}, k {}, {}", p.m, p.n, p.k, ir::name_of(p.dtype));
  if (p.m > 0) return fmt::format("{} rows of {} columns, {}", p.m, p.n, ir::name_of(p.dtype));
  const std::string head_dim = p.head_dim_qk == p.head_dim_v ? fmt::format("head_dim {}", p.head_dim_qk)
                                                             : fmt::format("head_dim {}/{}", p.head_dim_qk, p.head_dim_v);
  const std::string dtype = p.kv_dtype() == p.dtype ? std::string(ir::name_of(p.dtype))
                                                    : fmt::format("{} with {} cache", ir::name_of(p.dtype), ir::name_of(p.kv_dtype()));
  return fmt::format("batch {}, heads {}/{}, q_len {}, kv_len {}, {}, {}{}", p.batch, p.q_heads, p.kv_heads, lengths_text(p.q_len),
                     lengths_text(p.kv_len), head_dim, dtype, score_text(p.score));
}

std::string heading(const Outcome& outcome) {
  const Result& r = outcome.result;
  return fmt::format("{}: {}, {}, {} engine, {:.0f} MHz\n  {}\n", r.workload, r.variant, r.schedule, r.engine, r.clock_mhz,
                     shape_text(outcome.problem));
}

std::string harness_text(const Harness& harness) {
  const Conditions& c = harness.conditions;
  const std::string clock = c.clock == ClockPolicy::locked  ? fmt::format("locked at {:g} MHz", c.locked_mhz)
                            : c.clock == ClockPolicy::boost ? "boost clock"
                                                            : "sustained clock";
  std::string text = fmt::format("{} ({}, {} L2, {})", harness.name, clock, c.l2 == L2Start::cold ? "cold" : "warm",
                                 c.include_launch ? "launch included" : "launch excluded");
  if (c.launches == LaunchKind::plain) text += ", plain launches";
  for (const std::string& effect : c.without) text += ", without " + effect;
  return text;
}

std::string run_text(const RunConfig& config, const std::vector<Outcome>& outcomes) {
  std::string text = fmt::format("{} on {}; harness {}\n", config.name, config.chip.name, harness_text(config.harness));
  if (!config.chip.overlay.empty())
    text += fmt::format("chip figures fitted by overlay {}; see attnsim show {} --fitted\n", config.chip.overlay, config.chip.name);
  for (const Outcome& outcome : outcomes) text += '\n' + heading(outcome) + ladder_table(outcome) + facts(outcome);
  text +=
      "\npromise: baseline over workload, both at that rung: what a model that stops there would tell.\n"
      "bound: the baseline's best time over the rung; no kernel on this chip (flops, roofline), none with\n"
      "this schedule (tile, schedule) gains more.\n";
  return text;
}

Json result_json(const Result& result) {
  Json values = Json::object();
  for (const MetricInfo& metric : metrics()) {
    const double value = metric.get(result);
    values[std::string(metric.name)] = value == value ? Json(value) : Json(nullptr);
  }
  Json kernels = Json::array();
  for (const KernelResult& kernel : result.kernels) kernels.push_back(kernel_json(kernel));
  return {{"workload", result.workload},
          {"variant", result.variant},
          {"schedule", result.schedule},
          {"chip", result.chip},
          {"engine", result.engine},
          {"ladder", ladder_json(result.ladder)},
          {"bottleneck", result.bottleneck},
          {"standing", result.standing},
          {"harness_us", result.harness_us},
          {"metrics", values},
          {"kernels", kernels},
          {"model_hash", result.model_hash},
          {"resolved_config", Json::parse(result.resolved_config)}};
}

Json run_json(const RunConfig& config, const std::vector<Outcome>& outcomes) {
  Json list = Json::array();
  for (const Outcome& outcome : outcomes) {
    const Comparison comparison = compare(outcome.result.ladder, outcome.baseline.ladder);
    Json speedups = Json::array();
    for (const RungInfo& info : rungs()) {
      const auto i = static_cast<std::size_t>(info.rung);
      speedups.push_back({{"rung", std::string(info.name)},
                          {"promise", number_or_null(comparison.promise[i])},
                          {"bound", number_or_null(comparison.bound[i])}});
    }
    list.push_back({{"result", result_json(outcome.result)},
                    {"baseline", result_json(outcome.baseline)},
                    {"baseline_how", outcome.baseline_how},
                    {"speedups", speedups}});
  }
  return {{"name", config.name},
          {"chip", config.chip.name},
          {"harness", config.harness.name},
          {"version", version_text()},
          {"workloads", list}};
}

}  // namespace attnsim::cli
