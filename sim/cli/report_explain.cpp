// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sim/cli/report.h"
#include "sim/cli/report_attribution.h"
#include "sim/cli/table.h"

namespace attnsim::cli {

namespace {

// What a rung adds to the one below it. The losses sum to the last time.
struct Loss {
  std::string rung;
  std::string adds;
  std::string limiter;
  double time_us = 0;
  double loss_us = 0;
};

std::vector<Loss> waterfall(const Ladder& ladder) {
  std::vector<Loss> losses;
  double below = 0;
  for (const RungInfo& info : rungs()) {
    const auto i = static_cast<std::size_t>(info.rung);
    if (!ladder.time_us[i]) continue;
    losses.push_back({std::string(info.name), std::string(info.adds), ladder.limiter[i], *ladder.time_us[i], *ladder.time_us[i] - below});
    below = *ladder.time_us[i];
  }
  return losses;
}

std::string waterfall_table(const Ladder& ladder, std::size_t indent) {
  const std::vector<Loss> losses = waterfall(ladder);
  if (losses.empty()) return "";
  const double total = losses.back().time_us;
  TextTable table({"rung", ">adds", ">share", ">time", "limited by", "what it adds"});
  for (const Loss& loss : losses)
    table.add({loss.rung, microseconds(loss.loss_us), total > 0 ? percent(loss.loss_us / total) : "-", microseconds(loss.time_us),
               loss.limiter, loss.adds});
  return table.render(indent);
}

constexpr double kSmallReason = 0.0005;

std::string idle_text(const ResourceUse& use) {
  std::vector<std::pair<std::string, double>> reasons(use.idle_fraction.begin(), use.idle_fraction.end());
  std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr std::size_t kShownReasons = 5;
  std::string text;
  double rest = 0;
  std::size_t shown = 0;
  for (const auto& [reason, fraction] : reasons) {
    if (shown == kShownReasons || fraction < kSmallReason) {
      rest += fraction;
      continue;
    }
    ++shown;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", reason, percent(fraction));
  }
  if (rest >= kSmallReason) text += fmt::format("{}other {}", text.empty() ? "" : ", ", percent(rest));
  return text;
}

std::string resource_table(const KernelResult& kernel) {
  TextTable table({"resource", ">busy", "idle because of"});
  for (const ResourceUse& use : kernel.resources)
    table.add({std::string(name_of(use.resource)), percent(use.busy_fraction), idle_text(use)});
  return table.render(4);
}

std::string counts_text(const WorkCounts& c) {
  const auto useful = [](double part, double whole) {
    return whole > 0 ? fmt::format(" ({} useful)", percent(part / whole)) : std::string();
  };
  TextTable table({"", ""});
  table.add({"tensor", engineering(c.tensor_flops) + "FLOP" + useful(c.useful_tensor_flops, c.tensor_flops)});
  table.add({"exp", engineering(c.exp_count) + useful(c.useful_exp_count, c.exp_count)});
  table.add({"lanes", fmt::format("FP32 {}, ALU {}, SFU {}", engineering(c.fp32_ops), engineering(c.alu_ops), engineering(c.sfu_ops))});
  table.add({"issue", engineering(c.warp_instructions) + " warp instructions"});
  table.add(
      {"bytes", fmt::format("SMEM {}B, L2 {}B, HBM {}B", engineering(c.smem_bytes), engineering(c.l2_bytes), engineering(c.hbm_bytes))});
  const std::string text = table.render(4);
  return text.substr(text.find('\n') + 1);
}

std::string kernel_text(const KernelResult& kernel, std::size_t index, std::size_t count, const Explanation& explanation) {
  std::string text = fmt::format("\n  kernel {} of {}: {}, {} (launch {}), limited by {}\n", index + 1, count, kernel.name,
                                 microseconds(kernel.time_us), microseconds(kernel.launch_us), kernel.limiter);
  text += fmt::format("    {} items on {} CTAs, {} per SM; L2 hits {}{}{}\n", kernel.items, kernel.ctas, kernel.ctas_per_sm,
                      percent(kernel.l2_hit_rate),
                      kernel.spread > 0 ? fmt::format("; spread over start offsets {}", percent(kernel.spread)) : "",
                      kernel.extrapolated ? "; loops extrapolated" : "");
  text += waterfall_table(kernel.ladder, 4) + resource_table(kernel);
  for (const CriticalSequence& sequence : explanation.critical) {
    if (static_cast<std::size_t>(sequence.node) == index) text += critical_text(sequence, explanation.sampled);
  }
  return text + counts_text(kernel.counts) + counters_text(kernel);
}

Json waterfall_json(const Ladder& ladder) {
  Json list = Json::array();
  const std::vector<Loss> losses = waterfall(ladder);
  for (const Loss& loss : losses)
    list.push_back({{"rung", loss.rung},
                    {"adds", loss.adds},
                    {"loss_us", loss.loss_us},
                    {"share", losses.back().time_us > 0 ? Json(loss.loss_us / losses.back().time_us) : Json(nullptr)},
                    {"time_us", loss.time_us},
                    {"limiter", loss.limiter}});
  return list;
}

}  // namespace

std::string explain_text(const RunConfig& config, const std::vector<Outcome>& outcomes, const std::vector<Explanation>& explanations) {
  std::string text = fmt::format("{} on {}; harness {}\n", config.name, config.chip.name, harness_text(config.harness));
  for (std::size_t w = 0; w < outcomes.size(); ++w) {
    const Result& result = outcomes[w].result;
    const Explanation& why = explanations[w];
    text += '\n' + heading(outcomes[w]) + waterfall_table(result.ladder, 2);
    text += fmt::format("  bottleneck {}; {}\n", result.bottleneck, result.standing);
    for (const auto& [part, us] : result.harness_us) text += fmt::format("  inside the simulated time: {} {}\n", part, microseconds(us));
    for (std::size_t i = 0; i < result.kernels.size(); ++i) text += kernel_text(result.kernels[i], i, result.kernels.size(), why);
    if (why.helps) text += '\n' + helps_text(*why.helps);
    if (why.verdict) text += '\n' + verdict_text(*why.verdict);
  }
  return text;
}

Json explain_json(const RunConfig& config, const std::vector<Outcome>& outcomes, const std::vector<Explanation>& explanations) {
  Json document = run_json(config, outcomes);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    Json& entry = document["workloads"][i];
    entry["waterfall"] = waterfall_json(outcomes[i].result.ladder);
    Json kernels = Json::array();
    Json counts = Json::array();
    for (const KernelResult& kernel : outcomes[i].result.kernels) {
      kernels.push_back(waterfall_json(kernel.ladder));
      counts.push_back(counters_json(kernel));
    }
    entry["kernel_waterfalls"] = kernels;
    entry["kernel_counters"] = counts;
    entry["explanation"] = explanation_json(explanations[i]);
  }
  return document;
}

}  // namespace attnsim::cli
