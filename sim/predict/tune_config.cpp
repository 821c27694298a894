// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "hwmodels/chip_loader.h"
#include "sim/predict/references.h"
#include "sim/predict/schema_check.h"
#include "sim/predict/tune.h"
#include "workloads/catalog.h"
#include "workloads/harness.h"
#include "workloads/tile_shapes.h"
#include "workloads/variants/gna.h"

namespace attnsim {

namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// One number per axis; a single one stands for all.
Extents per_axis(FieldReader& root, const std::string& key, const std::string& value, std::size_t axes) {
  Extents extents = parse_extents(value);
  if (extents.size() == 1) extents.resize(axes, extents.front());
  if (extents.size() == axes) return extents;
  root.issue(key, "\"" + value + "\" does not give a number for each axis of the layout",
             "as many numbers joined by x as the layout has, or one for all");
  return Extents(axes, 1);
}

std::vector<Extents> list_per_axis(FieldReader& root, const std::string& key, std::size_t axes) {
  std::vector<Extents> list;
  const Json* values = root.raw(key);
  if (values == nullptr) return list;
  const bool texts = values->is_array() && !values->empty() &&
                     std::all_of(values->begin(), values->end(), [](const Json& value) { return value.is_string(); });
  if (!texts) {
    root.issue(key, "is no list of texts", "[\"18x24x24\", ...]");
    return list;
  }
  for (const Json& value : *values) list.push_back(per_axis(root, key, value.get<std::string>(), axes));
  return list;
}

// Those compiled for the chip: the last of the shipped names is the newest instruction set.
std::vector<std::string> chip_schedules(const Chip& chip) {
  std::vector<std::string> fitting;
  for (const std::string& name : schedules_with_tile_shapes()) {
    const std::vector<std::string> isas = load_schedule(name).isas;
    if (std::find(isas.begin(), isas.end(), chip.isa) == isas.end()) continue;
    if (fitting.empty() || isas.size() < load_schedule(fitting.front()).isas.size()) fitting.insert(fitting.begin(), name);
  }
  if (fitting.size() > 1) fitting.resize(1);
  return fitting;
}

std::vector<std::string> read_schedules(FieldReader& root, const Chip& chip) {
  std::vector<std::string> names;
  const Json* list = root.raw("schedules");
  if (list == nullptr) {
    names = chip_schedules(chip);
    if (names.empty()) root.issue("schedules", "is missing, and no schedule with tile shapes runs on " + chip.name, "");
    return names;
  }
  const std::vector<std::string> known = schedules_with_tile_shapes();
  for (const Json& name : list->is_array() ? *list : Json::array()) {
    if (!name.is_string() || std::find(known.begin(), known.end(), name.get<std::string>()) == known.end())
      root.issue("schedules", name.dump() + " is no schedule with tile shapes", joined(known),
                 name.is_string() ? nearest_name(name.get<std::string>(), known) : "");
    else
      names.push_back(name.get<std::string>());
  }
  if (names.empty() && root.ok()) root.issue("schedules", "is no list of names", joined(known));
  return names;
}

// Windows, dilation and causal axes as the variant checks them.
void check_shapes(const TuneConfig& config) {
  std::vector<ConfigIssue> issues;
  for (const Extents& window : config.windows) {
    for (const Extents& stride : config.strides.empty() ? std::vector<Extents>{Extents(window.size(), 1)} : config.strides) {
      Problem problem = config.problem;
      problem.params["window"] = text(window);
      problem.params["stride"] = text(stride);
      try {
        static_cast<void>(gna_shape(problem, 0));
      } catch (const ConfigError& error) {
        for (ConfigIssue issue : error.issues()) {
          issue.file = config.file;
          issue.pointer = issue.pointer.substr(issue.pointer.find_last_of('/'));
          if (issue.pointer == "/window" || issue.pointer == "/stride") issue.pointer += 's';
          issues.push_back(std::move(issue));
        }
      }
    }
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
}

}  // namespace

TuneConfig parse_tune_config(const JsonDocument& document) {
  check_schema(document, "workloads/tune.schema.json");
  FieldReader root(document);
  TuneConfig config;
  config.file = document.file;
  static_cast<void>(root.text("$schema", {}, ""));
  static_cast<void>(root.text("name", {}, ""));
  config.chip = read_chip(root, config.file);
  const std::string layout = root.text("layout", {});
  config.layout = parse_extents(layout);
  std::int64_t tokens = 1;
  for (const std::int64_t length : config.layout) tokens = length < 1 || tokens > kMostTokens / length ? 0 : tokens * length;
  if (config.layout.empty() || config.layout.size() > 3 || tokens < 1) {
    root.issue("layout", "\"" + layout + "\" is no layout", "one to three lengths joined by x, 30x48x80, at most 16777216 tokens");
    root.finish();
  }
  const std::size_t axes = config.layout.size();
  config.windows = list_per_axis(root, "windows", axes);
  if (config.windows.empty()) root.issue("windows", "is missing", "[\"18x24x24\", ...]");
  config.strides = list_per_axis(root, "strides", axes);
  config.dilation = per_axis(root, "dilation", root.text("dilation", {}, "1"), axes);
  config.causal = per_axis(root, "causal", root.text("causal", {}, "0"), axes);
  Problem& problem = config.problem;
  problem.batch = root.integer("batch", {.min = 1, .max = 1 << 20}, 1);
  problem.q_heads = problem.kv_heads = root.integer("heads", {.min = 1, .max = 1 << 20}, 1);
  problem.q_len = problem.kv_len = {tokens};
  problem.head_dim_qk = problem.head_dim_v = root.integer("head_dim", {.min = 1, .max = 256}, 128);
  problem.dtype = root.text("dtype", {"bf16", "f16"}, "bf16") == "f16" ? ir::DType::f16 : ir::DType::bf16;
  for (const ParamSpec& spec : variant("gna").params) problem.params[std::string(spec.name)] = spec.default_value;
  problem.params["layout"] = text(config.layout);
  problem.params["dilation"] = text(config.dilation);
  problem.params["causal"] = text(config.causal);
  problem.params["tokens"] = root.text("tokens", {"layout", "boxes"}, "layout");
  config.schedules = read_schedules(root, config.chip);
  config.harness = root.text("harness", harness_names(), "default");
  config.top = static_cast<std::size_t>(root.integer("top", {.min = 1, .max = 10000}, 10));
  root.finish();
  config.conditions = load_harness(config.harness).for_phase("encoder");
  check_shapes(config);
  return config;
}

}  // namespace attnsim
