// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/run_config.h"

#include <algorithm>
#include <optional>
#include <set>

#include "sim/core/json_text.h"
#include "sim/predict/problem_reader.h"
#include "sim/predict/references.h"
#include "sim/predict/schema_check.h"

namespace attnsim {

namespace {

constexpr std::size_t kMaxWorkloads = 1000;

// Issues found outside of the reader (a chip or harness inside the document) beside those that it holds.
using Issues = std::vector<ConfigIssue>;

template <class Body>
auto collecting(Issues& issues, Body body) -> std::optional<decltype(body())> {
  try {
    return body();
  } catch (const ConfigError& error) {
    issues.insert(issues.end(), error.issues().begin(), error.issues().end());
    return std::nullopt;
  }
}

std::vector<std::string> effect_names() {
  std::vector<std::string> names;
  for (const Effect& effect : effects()) names.push_back(effect.name);
  return names;
}

const Variant* read_variant(FieldReader& reader, std::optional<std::string> fallback = std::nullopt) {
  std::vector<std::string> names;
  for (const Variant& v : variants()) names.emplace_back(v.name);
  const std::string name = reader.text("variant", names, std::move(fallback));
  return std::find(names.begin(), names.end(), name) == names.end() ? nullptr : &variant(name);
}

void read_without(FieldReader& root, const std::string& file, std::set<std::string>& without, Issues& issues) {
  const Json* list = root.raw("without");
  if (list == nullptr) return;
  const std::vector<std::string> names = effect_names();
  if (!list->is_array()) {
    root.issue("without", "is no list of effects", json_text::joined(names));
    return;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& entry = (*list)[i];
    const std::string name = entry.is_string() ? entry.get<std::string>() : "";
    if (std::find(names.begin(), names.end(), name) == names.end())
      issues.push_back({file, "/without/" + std::to_string(i), json_text::shown(entry), "is no effect", json_text::joined(names),
                        nearest_name(name, names)});
    else
      without.insert(name);
  }
}

std::vector<WorkloadConfig> read_workloads(FieldReader& root, const std::string& file, Issues& issues) {
  std::vector<WorkloadConfig> workloads;
  std::vector<FieldReader> readers = root.children("workloads");
  if (root.has("workloads") && root.json().at("workloads").is_array() && readers.empty() && root.json().at("workloads").empty())
    root.issue("workloads", "is empty", "1 to 1000 workloads");
  if (!root.has("workloads")) root.issue("workloads", "is missing", "a list of workloads");
  if (readers.size() > kMaxWorkloads) root.issue("workloads", "is too long", "1 to 1000 workloads");
  std::set<std::string> names;
  for (FieldReader& reader : readers) {
    WorkloadConfig w;
    w.pointer = reader.pointer();
    w.variant = read_variant(reader);
    w.name = reader.text("name", {}, w.variant == nullptr ? std::string("?") : std::string(w.variant->name));
    if (!names.insert(w.name).second) reader.issue("name", "names an earlier workload too", "a name of its own for each workload");
    if (auto choice = collecting(issues, [&] { return read_schedule_choice(reader, "schedule", file); })) w.schedule = std::move(*choice);
    w.problem = read_problem(reader, w.variant);
    if (reader.has("measured_us")) w.measured_us = reader.number("measured_us", {.min = 0, .max = 1e12, .min_exclusive = true});
    workloads.push_back(std::move(w));
  }
  return workloads;
}

BaselineConfig read_baseline(FieldReader& root, const std::string& file, const std::vector<WorkloadConfig>& workloads, Issues& issues) {
  BaselineConfig baseline;
  const Json* value = root.raw("baseline");
  if (value == nullptr) return baseline;
  if (value->is_object()) {
    FieldReader reader = root.child("baseline");
    baseline.mode = BaselineMode::variant;
    baseline.variant = read_variant(reader, "dense");
    if (auto choice = collecting(issues, [&] { return read_schedule_choice(reader, "schedule", file); }))
      baseline.schedule = std::move(*choice);
    return baseline;
  }
  std::vector<std::string> names{"auto"};
  for (const WorkloadConfig& w : workloads) names.push_back(w.name);
  const std::string name = root.text("baseline", names);
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    if (workloads[i].name != name || name == "auto") continue;
    baseline.mode = BaselineMode::workload;
    baseline.workload = i;
  }
  return baseline;
}

}  // namespace

RunConfig parse_run_config(const JsonDocument& document) {
  FieldReader root(document);
  if (!document.root.is_object()) root.finish();  // throws: nothing else is worth a message
  Issues issues;
  RunConfig config;
  config.file = document.file;
  (void)root.raw("$schema");
  config.name = root.text("name", {}, "run");
  if (auto chip = collecting(issues, [&] { return read_chip(root, document.file); })) config.chip = std::move(*chip);
  config.workloads = read_workloads(root, document.file, issues);
  config.baseline = read_baseline(root, document.file, config.workloads, issues);
  if (auto harness = collecting(issues, [&] { return read_harness(root, document.file); })) config.harness = std::move(*harness);
  config.engine = engine_named(root.text("engine", {"detailed", "fast", "automatic"}, "automatic"));
  read_without(root, document.file, config.harness.conditions.without, issues);
  FieldReader outputs = root.child("outputs");
  config.database = outputs.text("db", {}, "");
  config.charts = outputs.boolean("charts", false);
  try {
    root.finish();
  } catch (const ConfigError& error) {
    issues.insert(issues.begin(), error.issues().begin(), error.issues().end());
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return config;
}

RunConfig load_run_config(const std::string& file) {
  const JsonDocument document = read_json_file(file);
  RunConfig config = parse_run_config(document);
  check_schema(document, "workloads/run.schema.json");
  return config;
}

std::string phase_of(const Variant& variant, const Problem& problem) {
  if (variant.shape != ShapeKind::attention) return (problem.dtype == ir::DType::f8 ? "8-bit " : "") + std::string(variant.name);
  if (problem.pass == Pass::backward) return "bwd";
  if (problem.is_decode()) return "decode";
  if (variant.masks == nullptr) return "prefill";
  const std::optional<Band> band = common_band(variant, problem);
  return band && band->is_dense() ? "encoder" : "prefill";
}

}  // namespace attnsim
