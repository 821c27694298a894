// SPDX-License-Identifier: Apache-2.0
// One shipped thing in full, with its sources.
#include <fmt/format.h>

#include "hwmodels/chip_loader.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/report.h"
#include "sim/cli/table.h"
#include "sim/core/data_dir.h"
#include "workloads/catalog.h"
#include "workloads/harness.h"
#include "workloads/variant.h"

namespace attnsim::cli {

namespace {

std::string value_text(const ParamValue& value) {
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

// Figures are {"value", "status", "source"}; everything else at the top level is a plain value or a section.
void add_figures(const Json& value, const std::string& path, bool fitted, TextTable& table) {
  if (value.is_object() && value.contains("value")) {
    const std::string status = value.value("status", "");
    if (!fitted || status == "fitted") table.add({path, value["value"].dump(), status, value.value("source", "")});
    return;
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) add_figures(member, path.empty() ? key : path + "." + key, fitted, table);
  } else if (value.is_array() && !value.empty() && value.front().is_object()) {
    for (std::size_t i = 0; i < value.size(); ++i) add_figures(value[i], fmt::format("{}.{}", path, i), fitted, table);
  } else if (!fitted && path != "$schema" && path != "name" && path != "description") {
    table.add({path, value.is_string() ? value.get<std::string>() : value.dump(), "", ""});
  }
}

// What the fitted figures were fitted on, from the overlay's own words.
std::string overlay_text(const std::string& overlay) {
  if (overlay.empty()) return "";
  const Json document = read_json_file(data_dir() / "hwmodels" / "overlays" / (overlay + ".json")).root;
  return fmt::format("overlay {}: {}\n  fitted on: {}\n", overlay, document.value("description", ""), document.value("fitted_on", ""));
}

std::string peaks_text(const Chip& chip) {
  std::string text = "derived peaks:\n";
  TextTable table({"peak", ">value", "unit"});
  for (const auto& [dtype, rate] : chip.tensor.flop_per_clk_per_sm)
    table.add({"tensor " + dtype, fmt::format("{:.1f}", chip.peak_tflops(dtype)),
               fmt::format("TFLOP/s dense at {:g} MHz", chip.clock.boost_mhz)});
  const double hz = chip.clock.boost_mhz * 1e6 * chip.sm.count;
  table.add({"fp32", fmt::format("{:.1f}", 2 * chip.sm.fp32_lanes * hz * 1e-12), "TFLOP/s"});
  table.add({"sfu", fmt::format("{:.2f}", chip.sm.sfu_lanes * hz * 1e-12), "Top/s"});
  table.add({"smem", fmt::format("{:.1f}", chip.sm.smem_bytes_per_clk * hz * 1e-12), "TB/s"});
  table.add({"l2", fmt::format("{:.2f}", chip.l2.bandwidth_bytes_per_clk * chip.clock.boost_mhz * 1e-6), "TB/s"});
  table.add({"hbm", fmt::format("{:.2f}", chip.hbm.bandwidth_gb_per_s * 1e-3), "TB/s"});
  return text + table.render(2);
}

Json claims_of(const Variant& v) {
  Json claims = Json::array();
  if (v.claims.empty()) return claims;
  for (const Json& claim : read_json_file(data_dir() / "validation" / "claims.json").root) {
    if (claim.value("claim_id", "").rfind(v.claims, 0) == 0) claims.push_back(claim);
  }
  return claims;
}

std::string claims_text(const Variant& v) {
  const Json claims = claims_of(v);
  if (claims.empty()) return "";
  TextTable table({"published claim", ">value", "metric", "text"});
  const auto text_of = [](const Json& claim, const char* key) {
    const auto found = claim.find(key);
    return found != claim.end() && found->is_string() ? found->get<std::string>() : std::string("-");
  };
  for (const Json& claim : claims) {
    const Json& value = claim.at("value");
    table.add({text_of(claim, "claim_id"),
               value.is_null()     ? "-"
               : value.is_string() ? value.get<std::string>()
                                   : value.dump(),
               text_of(claim, "metric"),
               fmt::format("{} (against {}; {}; confidence {})", text_of(claim, "text"), text_of(claim, "baseline"),
                           text_of(claim, "source"), text_of(claim, "confidence"))});
  }
  return table.render(2, 130);
}

}  // namespace

std::string variant_text(const std::string& name, bool /*fitted*/) {
  const Variant& v = variant(name);
  std::string text = fmt::format("variant {}: {}\nfamily {}; {}\n", v.name, v.description, v.family, v.paper);
  const std::string score =
      v.family == "tile-list"
          ? "score modifiers of a workload, none by default: softcap, alibi, bias_radius, bias_layout (docs/scores.md)\n"
          : "";
  if (v.params.empty()) return text + "no params\n" + score + claims_text(v);
  TextTable table({"param", "default", "choices", "description"});
  for (const ParamSpec& spec : v.params) {
    std::string choices;
    for (const std::string& choice : spec.choices) choices += (choices.empty() ? "" : ", ") + choice;
    table.add({std::string(spec.name), value_text(spec.default_value), choices, std::string(spec.description)});
  }
  return text + table.render(2) + score + claims_text(v);
}

std::string schedule_text(const std::string& name, bool /*fitted*/) {
  const Schedule schedule = load_schedule(name);
  return fmt::format("schedule {}: {}\nfamily {}, form {}; source: {}\n{}\n", name, schedule.description, schedule.family, schedule.form,
                     schedule.source, schedule_document(name).root.dump(2));
}

std::string chip_text(const std::string& name, bool fitted) {
  const Chip chip = load_chip(name);
  std::string text = fmt::format("chip {}: {}\n{}", name, chip.description, overlay_text(chip.overlay));
  TextTable table({"figure", "value", "status", "source"});
  add_figures(chip_document(name).root, "", fitted, table);
  text += table.render(2, 140);
  return fitted ? text : text + peaks_text(chip);
}

std::string harness_full_text(const std::string& name, bool fitted) {
  const Harness harness = load_harness(name);
  std::string text = fmt::format("harness {}: {}\n  {}; constant {:g} us\n  source: {}\n", name, harness.description, harness_text(harness),
                                 harness.conditions.constant_us, harness.source);
  for (const std::string& phase : harness.kv_cache_write_phases) text += fmt::format("  {}: the KV-cache write kernel is inside\n", phase);
  if (harness.adds_gradients) text += "  bwd: the kernels that add gradients to those of the calls before are inside\n";
  std::string names;
  for (const std::string& member : harness.fitted) names += (names.empty() ? "" : ", ") + member;
  text += fmt::format("  fitted: {}\n", names.empty() ? "nothing" : names);
  return fitted ? text : text + harness_json(name).dump(2) + '\n';
}

Json variant_json(const std::string& name) {
  const Variant& v = variant(name);
  Json params = Json::array();
  for (const ParamSpec& spec : v.params) {
    Json value;
    std::visit([&](const auto& fallback) { value = fallback; }, spec.default_value);
    params.push_back(
        {{"name", std::string(spec.name)}, {"default", value}, {"choices", spec.choices}, {"description", std::string(spec.description)}});
  }
  return {
      {"name", name},     {"family", std::string(v.family)}, {"description", std::string(v.description)}, {"paper", std::string(v.paper)},
      {"params", params}, {"claims", claims_of(v)}};
}

Json schedule_json(const std::string& name) {
  return schedule_document(name).root;
}

Json chip_json(const std::string& name) {
  return chip_document(name).root;
}

Json harness_json(const std::string& name) {
  return read_json_file(data_dir() / "workloads" / "harnesses" / (name + ".json")).root;
}

}  // namespace attnsim::cli
