// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/catalogue.h"

#include <fmt/format.h>

#include <array>

#include "hwmodels/chip_loader.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"
#include "validation/calibrate/parameters.h"
#include "workloads/harness.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim::cli {

namespace {

std::vector<Entry> variant_entries() {
  std::vector<Entry> entries;
  for (const Variant& v : variants()) entries.push_back({std::string(v.name), std::string(v.description)});
  return entries;
}

std::vector<Entry> schedule_entries() {
  std::vector<Entry> entries;
  for (const std::string& name : schedule_names()) entries.push_back({name, load_schedule(name).description});
  return entries;
}

std::vector<Entry> chip_entries() {
  std::vector<Entry> entries;
  for (const std::string& name : chip_names()) entries.push_back({name, load_chip(name).description});
  return entries;
}

std::vector<Entry> harness_entries() {
  std::vector<Entry> entries;
  for (const std::string& name : harness_names()) entries.push_back({name, load_harness(name).description});
  return entries;
}

std::vector<Entry> rung_entries() {
  std::vector<Entry> entries;
  for (const RungInfo& rung : rungs())
    entries.push_back({std::string(rung.name), std::string(rung.adds) + "; depends on " + std::string(rung.depends_on)});
  return entries;
}

std::vector<Entry> metric_entries() {
  std::vector<Entry> entries;
  for (const MetricInfo& metric : metrics())
    entries.push_back({std::string(metric.name), std::string(metric.description) + " [" + std::string(metric.unit) + "]"});
  for (const CounterInfo& counter : counters()) {
    entries.push_back({std::string(counter.name),
                       "per kernel, as ncu counts: " + std::string(counter.description) + " [" + std::string(counter.unit) + "]"});
  }
  return entries;
}

std::vector<Entry> effect_entries() {
  std::vector<Entry> entries;
  for (const Effect& effect : effects()) entries.push_back({effect.name, effect.description});
  return entries;
}

std::vector<Entry> parameter_entries() {
  std::vector<Entry> entries;
  for (const FitParameter& p : fit_parameters()) {
    const std::string of = p.of_harness ? "of the harness: " : "";
    entries.push_back({std::string(p.name),
                       of + fmt::format("{}{}; from {:g} to {:g}{}: {}", p.meaning, p.unit.empty() ? "" : " [" + std::string(p.unit) + "]",
                                        p.min, p.max, p.relative ? " times the chip's own" : "", p.bounds_source)});
  }
  return entries;
}

constexpr std::array<Kind, 8> kKinds{{
    {"variants", "variant", variant_entries, variant_text, variant_json},
    {"schedules", "schedule", schedule_entries, schedule_text, schedule_json},
    {"chips", "chip", chip_entries, chip_text, chip_json},
    {"harnesses", "harness", harness_entries, harness_full_text, harness_json},
    {"rungs", "rung", rung_entries, nullptr, nullptr},
    {"metrics", "metric", metric_entries, nullptr, nullptr},
    {"effects", "effect", effect_entries, nullptr, nullptr},
    {"parameters", "parameter", parameter_entries, nullptr, nullptr},
}};

}  // namespace

std::span<const Kind> kinds() {
  return kKinds;
}

}  // namespace attnsim::cli
