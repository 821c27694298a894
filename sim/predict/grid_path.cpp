// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/grid_path.h"

#include <algorithm>

#include "hwmodels/chip_loader.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_text.h"
#include "workloads/catalog.h"
#include "workloads/variant.h"

namespace attnsim {

namespace {

struct Split {
  std::string head;
  std::string rest;
};
Split split_first(const std::string& path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos) return {path, ""};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

const std::vector<std::string> kShapeNames{"batch",       "q_heads",    "kv_heads", "q_len", "kv_len", "head_dim",
                                           "head_dim_qk", "head_dim_v", "m",        "n",     "k"};
const std::vector<std::string> kOfWorkload{"variant", "schedule", "shape", "dtype", "dtype_kv", "params", "score"};
const std::vector<std::string> kScoreNames{"softcap", "alibi", "bias_radius", "bias_layout"};
const std::vector<std::string> kOfRun{"chip", "harness", "engine"};

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void refuse(const std::string& path, const std::string& wrong, const std::string& prefix,
                         const std::vector<std::string>& names, const std::string& file, const std::string& pointer) {
  std::vector<std::string> full;
  for (const std::string& name : names) full.push_back(prefix + name);
  const std::string nearest = nearest_name(wrong, names);
  throw ConfigError({file, pointer, json_text::shown(path), "names nothing that a grid can set", json_text::joined(full),
                     nearest.empty() ? "" : prefix + nearest});
}

std::vector<std::string> workload_names(const Json& run) {
  std::vector<std::string> names;
  if (run.contains("workloads") && run["workloads"].is_array())
    for (const Json& workload : run["workloads"])
      if (workload.is_object() && (workload.contains("name") || workload.contains("variant")))
        names.push_back(workload.contains("name") ? workload["name"] : workload["variant"]);
  return names;
}

std::vector<std::string> param_names() {
  std::vector<std::string> names;
  for (const Variant& v : variants())
    for (const ParamSpec& spec : v.params)
      if (!holds(names, std::string(spec.name))) names.emplace_back(spec.name);
  return names;
}

bool takes_param(const std::string& variant_name, const std::string& param) {
  for (const Variant& v : variants())
    if (v.name == variant_name)
      return std::any_of(v.params.begin(), v.params.end(), [&](const ParamSpec& spec) { return spec.name == param; });
  return false;
}

// A shipped document has all members that a figure can have; an inline one only those it writes.
JsonDocument document_of(const Json& value, JsonDocument (*shipped)(const std::string&)) {
  if (value.is_string()) return shipped(value.get<std::string>());
  if (value.is_object() && value.contains("name") && (value.contains("overrides") || value.size() == 1)) return shipped(value["name"]);
  return {"", value};
}

void check_chip(const Json& run, const std::string& rest, const std::string& path, const std::string& file, const std::string& pointer) {
  if (rest.empty() || !run.contains("chip")) return;
  JsonDocument document = document_of(run["chip"], chip_document);
  try {
    set_by_path(document, rest, 0, file, pointer);
  } catch (const ConfigError& error) {
    ConfigIssue issue = error.issues().front();
    issue.value = json_text::shown(path);
    if (!issue.nearest.empty()) issue.nearest = "chip." + issue.nearest;
    throw ConfigError(std::move(issue));
  }
}

void check_workload_part(const std::string& part, const std::string& path, const std::string& prefix, const std::string& file,
                         const std::string& pointer) {
  const auto [head, rest] = split_first(part);
  if (!holds(kOfWorkload, head)) refuse(path, head, prefix, kOfWorkload, file, pointer);
  if (head == "shape" && !holds(kShapeNames, rest)) refuse(path, rest, prefix + "shape.", kShapeNames, file, pointer);
  if (head == "score" && !holds(kScoreNames, rest)) refuse(path, rest, prefix + "score.", kScoreNames, file, pointer);
  if (const std::vector<std::string> names = param_names(); head == "params" && !holds(names, rest))
    refuse(path, rest, prefix + "params.", names, file, pointer);
}

// Turns "h100-sxm" or an absent member into {"name": ..., "overrides": {...}} and adds the override; inline documents are set.
void set_override(Json& holder, const std::string& key, const std::string& rest, const Json& value) {
  if (!holder.contains(key)) holder[key] = "auto";
  Json& member = holder[key];
  if (member.is_string()) member = Json{{"name", member}};
  if (key == "chip" && !(member.contains("overrides") || member.size() == 1)) {
    JsonDocument document{"", member};
    set_by_path(document, rest, value, "", "/chip");
    member = document.root;
    return;
  }
  member["overrides"][rest] = value;
}

void set_in_workload(Json& workload, const std::string& part, const Json& value) {
  const auto [head, rest] = split_first(part);
  if (rest.empty())
    workload[head] = value;
  else if (head == "schedule")
    set_override(workload, "schedule", rest, value);
  else
    workload[head][rest] = value;
}

}  // namespace

void check_grid_path(const Json& run, const std::string& path, const std::string& file, const std::string& pointer) {
  const auto [head, rest] = split_first(path);
  if (head == "chip") return check_chip(run, rest, path, file, pointer);
  if (head == "engine" && rest.empty()) return;
  if (head == "harness") return;  // its own reader names wrong members
  if (head == "workloads") {
    const auto [name, part] = split_first(rest);
    const std::vector<std::string> names = workload_names(run);
    if (!holds(names, name)) refuse(path, name, "workloads.", names, file, pointer);
    return check_workload_part(part, path, "workloads." + name + ".", file, pointer);
  }
  if (holds(kOfWorkload, head)) return check_workload_part(path, path, "", file, pointer);
  std::vector<std::string> all = kOfRun;
  all.insert(all.end(), kOfWorkload.begin(), kOfWorkload.end());
  all.emplace_back("workloads");
  refuse(path, head, "", all, file, pointer);
}

void apply_setting(Json& run, const std::string& path, const Json& value) {
  const auto [head, rest] = split_first(path);
  if (head == "chip" && !rest.empty()) return set_override(run, "chip", rest, value);
  if (head == "harness" && !rest.empty()) {
    if (!run.contains("harness") || !run["harness"].is_object()) run["harness"] = Json::object();
    run["harness"][rest] = value;
    return;
  }
  if (head == "chip" || head == "engine" || head == "harness") {
    run[head] = value;
    return;
  }
  const std::string only = head == "workloads" ? split_first(rest).head : "";
  const std::string part = head == "workloads" ? split_first(rest).rest : path;
  for (Json& workload : run["workloads"]) {
    const std::string variant_name = workload.value("variant", "");
    if (!only.empty() && workload.value("name", variant_name) != only) continue;
    if (only.empty() && split_first(part).head == "params" && !takes_param(variant_name, split_first(part).rest)) continue;
    set_in_workload(workload, part, value);
  }
}

}  // namespace attnsim
