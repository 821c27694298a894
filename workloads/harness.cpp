// SPDX-License-Identifier: Apache-2.0
#include "workloads/harness.h"

#include <algorithm>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::filesystem::path harness_folder() {
  return data_dir() / "workloads" / "harnesses";
}

// Members that a fit may set, by their JSON names.
const std::vector<std::string>& fittable() {
  static const std::vector<std::string> kNames{"constant_us",  "clock.settle_us", "l2_dirty",
                                               "host_us.gemm", "host_us.softmax", "host_us.layernorm"};
  return kNames;
}

void read_clock(FieldReader reader, Conditions& conditions) {
  const std::string policy = reader.text("policy", {"locked", "boost", "sustained"});
  conditions.clock = policy == "locked" ? ClockPolicy::locked : policy == "sustained" ? ClockPolicy::sustained : ClockPolicy::boost;
  if (reader.has("settle_us")) {
    conditions.settle_us = reader.number("settle_us", {.min = 0, .max = 1e9});
    if (conditions.clock != ClockPolicy::sustained)
      reader.issue("settle_us", "has no meaning with clock policy " + policy, "only with policy sustained");
  }
  if (conditions.clock == ClockPolicy::locked) {
    conditions.locked_mhz = reader.number("locked_mhz", {.min = 100, .max = 5000});
  } else if (reader.has("locked_mhz")) {
    reader.issue("locked_mhz", "has no meaning with clock policy " + policy, "only with policy locked");
    static_cast<void>(reader.raw("locked_mhz"));
  }
}

std::vector<std::string> names(FieldReader& root, const std::string& key, const std::vector<std::string>& choices) {
  std::vector<std::string> list;
  const Json* value = root.raw(key);
  if (value == nullptr) return list;
  const bool texts = value->is_array() && std::all_of(value->begin(), value->end(), [](const Json& item) { return item.is_string(); });
  if (!texts) {
    root.issue(key, "is no list of texts", "a list of texts");
    return list;
  }
  for (const Json& item : *value) {
    list.push_back(item.get<std::string>());
    if (std::find(choices.begin(), choices.end(), list.back()) == choices.end()) {
      std::string allowed;
      for (const std::string& choice : choices) allowed += (allowed.empty() ? "" : ", ") + choice;
      root.issue(key, "names \"" + list.back() + '"', allowed, nearest_name(list.back(), choices));
    }
  }
  return list;
}

}  // namespace

Conditions Harness::for_phase(const std::string& phase) const {
  Conditions phase_conditions = conditions;
  if (std::find(kv_cache_write_phases.begin(), kv_cache_write_phases.end(), phase) != kv_cache_write_phases.end())
    phase_conditions.extra_kernels.push_back(ExtraKernel::kv_cache_write);
  if (adds_gradients && phase == "bwd") phase_conditions.extra_kernels.push_back(ExtraKernel::add_gradients);
  if (const auto host = phase_host_us.find(phase); host != phase_host_us.end()) phase_conditions.host_us = host->second;
  return phase_conditions;
}

std::vector<std::string> harness_names() {
  std::vector<std::string> list;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(harness_folder(), error))
    if (entry.path().extension() == ".json") list.push_back(entry.path().stem().string());
  std::sort(list.begin(), list.end());
  return list;
}

Harness load_harness(const std::string& name) {
  const std::vector<std::string> known = harness_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    std::string allowed;
    for (const std::string& candidate : known) allowed += (allowed.empty() ? "" : ", ") + candidate;
    throw ConfigError({"", "/harness", '"' + name + '"', "is no harness", allowed, nearest_name(name, known)});
  }
  return parse_harness(read_json_file(harness_folder() / (name + ".json")));
}

Harness parse_harness(const JsonDocument& document) {
  FieldReader root(document);
  Harness harness;
  static_cast<void>(root.text("$schema", {}, ""));
  harness.name = root.text("name", {});
  harness.description = root.text("description", {}, "");
  harness.source = root.text("source", {}, "");
  if (root.has("clock")) {
    read_clock(root.child("clock"), harness.conditions);
  } else {
    root.issue("clock", "is missing", "an object with policy locked, boost or sustained");
  }
  harness.conditions.l2 = root.text("l2_start", {"cold", "warm"}) == "warm" ? L2Start::warm : L2Start::cold;
  const bool cold = harness.conditions.l2 == L2Start::cold;
  harness.conditions.operand_sets = static_cast<int>(root.integer("operand_sets", {.min = 1, .max = 1024}, 1));
  if (cold && root.has("operand_sets")) root.issue("operand_sets", "has no meaning with a cold L2", "only with l2_start warm");
  harness.conditions.l2_dirty = root.number("l2_dirty", {.min = 0, .max = 1}, 0.0);
  if (!cold && root.has("l2_dirty")) root.issue("l2_dirty", "has no meaning with a warm L2", "only with l2_start cold");
  harness.conditions.constant_us = root.number("constant_us", {.min = 0, .max = 1e4}, 0.0);
  harness.conditions.include_launch = root.boolean("include_launch", true);
  harness.conditions.chained = root.boolean("chained", false);
  harness.conditions.launches = root.text("launches", {"graph", "plain"}, "graph") == "plain" ? LaunchKind::plain : LaunchKind::graph;
  harness.kv_cache_write_phases = names(root, "kv_cache_write_phases", {"prefill", "decode", "encoder"});
  harness.adds_gradients = root.boolean("adds_gradients", false);
  if (root.has("host_us")) {
    FieldReader host = root.child("host_us");
    for (const char* phase : {"gemm", "softmax", "layernorm"})
      if (host.has(phase)) harness.phase_host_us[phase] = host.number(phase, {.min = 0, .max = 1e6});
  }
  harness.fitted = names(root, "fitted", fittable());
  root.finish();
  return harness;
}

}  // namespace attnsim
