// SPDX-License-Identifier: Apache-2.0
#include "validation/mapping.h"

#include <fmt/format.h>

#include "sim/core/json_reader.h"
#include "workloads/catalog.h"

namespace attnsim {

namespace {

template <class Value, class Load>
std::shared_ptr<const Value> cached(std::map<std::string, std::shared_ptr<const Value>>& cache, const std::string& name, Load load) {
  auto& slot = cache[name];
  if (!slot) slot = std::make_shared<const Value>(load(name));
  return slot;
}

// A single query at the end of the keys sees all of them: the libraries clear the causal flag for it.
std::string variant_of(const MeasuredRow& row) {
  if (!row.variant.empty()) return row.variant;
  if (row.m > 0) return row.k > 0 ? "gemm" : row.phase;
  if (row.v_in_k) return "mla-decode";
  if (row.window > 0) return "sliding-window";
  if (row.mask == MaskKind::causal && row.q_len > 1) return "causal";
  return "dense";
}

// A row's text as the parameter's default is: a number, yes or no, or text.
ParamValue value_of(const std::string& text, const ParamValue& like) {
  if (std::holds_alternative<std::int64_t>(like)) return std::int64_t{std::stoll(text)};
  if (std::holds_alternative<double>(like)) return std::stod(text);
  if (std::holds_alternative<bool>(like)) return text == "true";
  return text;
}

Problem problem_of(const MeasuredRow& row, const Variant& variant, ir::DType dtype) {
  Problem problem;
  for (const ParamSpec& spec : variant.params) problem.params[std::string(spec.name)] = spec.default_value;
  for (const auto& [name, value] : row.params) problem.params[name] = value_of(value, problem.params[name]);
  if (row.m > 0) {
    problem.m = row.m;
    problem.n = row.n;
    problem.k = row.k;
    problem.dtype = dtype;
    return problem;
  }
  problem.batch = row.batch;
  problem.q_heads = row.q_heads;
  problem.kv_heads = row.kv_heads;
  problem.q_len = {row.q_len};
  problem.kv_len = {row.kv_len};
  problem.head_dim_qk = row.head_dim_qk;
  problem.head_dim_v = row.head_dim_v;
  problem.dtype = dtype;
  if (row.pass == "bwd") problem.pass = Pass::backward;
  if (row.window > 0) problem.params["left"] = row.window - 1;  // the row counts the query's own key
  return problem;
}

// Conditions of a pass that follows another one in the same call.
Conditions behind(const Conditions& first, const Conditions& second) {
  Conditions conditions = first;
  conditions.extra_kernels = second.extra_kernels;
  conditions.constant_us = 0;
  conditions.host_us = 0;
  conditions.chained = true;
  return conditions;
}

std::shared_ptr<const Chip> chip_named(const std::string& device, const KernelMaps& maps, Catalog& catalog) {
  const std::optional<std::string> name = maps.chip_of(device);
  return name ? catalog.chip(*name) : nullptr;
}

std::string text_of(const ParamValue& value) {
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

}  // namespace

std::shared_ptr<const Chip> Catalog::chip(const std::string& name) {
  return cached(chips_, name, [](const std::string& n) { return load_chip(n); });
}
std::shared_ptr<const Schedule> Catalog::schedule(const std::string& name) {
  return cached(schedules_, name, [](const std::string& n) { return load_schedule(n); });
}
std::shared_ptr<const Harness> Catalog::harness(const std::string& name) {
  return cached(harnesses_, name, [](const std::string& n) { return load_harness(n); });
}

std::optional<ir::DType> dtype_of(const std::string& name) {
  if (name == "bf16") return ir::DType::bf16;
  if (name == "fp16" || name == "fp16/f16acc") return ir::DType::f16;
  if (name == "fp8" || name == "mxfp8") return ir::DType::f8;
  return std::nullopt;
}

ir::DType accumulator_of(const std::string& name) {
  return name.ends_with("/f16acc") ? ir::DType::f16 : ir::DType::f32;
}

std::shared_ptr<const Chip> chip_of(const MeasuredRow& row, const KernelMaps& maps, Catalog& catalog) {
  return chip_named(row.device, maps, catalog);
}

MapKey map_key(const MeasuredRow& row) {
  return {.library = row.library,
          .version = row.version,
          .kernel = row.kernel,
          .device = row.device,
          .phase = row.phase,
          .dtype = row.dtype,
          .options = row.options,
          .head_dim = row.head_dim_qk,
          .q_len = row.q_len,
          .group = row.kv_heads > 0 ? row.q_heads / row.kv_heads : 1,
          .windowed = row.window > 0,
          .paged = row.paged};
}

MappedRow map_row(const MeasuredRow& row, const KernelMaps& maps, Catalog& catalog) {
  MappedRow mapped;
  mapped.chip = chip_of(row, maps, catalog);
  if (!row.no_mapping.empty()) {
    mapped.unmapped = row.no_mapping;
    return mapped;
  }
  const KernelMaps::Found found = maps.find(map_key(row));
  if (found.entry != nullptr && !found.entry->measured_on.empty()) mapped.chip = chip_named(found.entry->measured_on, maps, catalog);
  const bool own_dtype = found.entry == nullptr || found.entry->computes.empty();
  const std::optional<ir::DType> dtype = dtype_of(own_dtype ? row.dtype : found.entry->computes);
  if (found.entry == nullptr)
    mapped.unmapped = found.reason;
  else if (!mapped.chip)
    mapped.unmapped = "no chip file for device " + row.device;
  else if (!dtype)
    mapped.unmapped = "no unit for dtype " + row.dtype;
  else if ((row.pass == "fwd_bwd") == found.entry->then_backward.empty())
    mapped.unmapped = row.pass == "fwd_bwd" ? "a forward and a backward pass in one time, and a kernel map entry for one"
                                            : "one pass, and a kernel map entry for two";
  if (!mapped.unmapped.empty()) return mapped;

  const auto harness = catalog.harness(row.harness.empty() ? found.entry->harness : row.harness);
  mapped.schedule = catalog.schedule(found.entry->schedule);
  if (row.tiles && works_on_boxes(*mapped.schedule)) {
    mapped.tiles = row.tiles;
    mapped.schedule = std::make_shared<const Schedule>(parse_schedule(with_boxes(mapped.schedule->name, *row.tiles, row.head_dim_qk)));
  }
  MeasuredRow visited = row;
  if (found.entry->ignores_window && row.window > 0) {
    visited.window = 0;
    visited.mask = MaskKind::causal;
  }
  if (found.entry->ignores_causal && row.mask == MaskKind::causal) visited.mask = MaskKind::full;
  mapped.variant = &variant(variant_of(visited));
  mapped.problem = problem_of(visited, *mapped.variant, *dtype);
  mapped.harness = harness->name;
  mapped.timed = found.entry->timed;
  mapped.conditions = harness->for_phase(row.phase);
  if (row.locked_clock_mhz > 0) {
    mapped.conditions.clock = ClockPolicy::locked;
    mapped.conditions.locked_mhz = row.locked_clock_mhz;
  }
  if (!found.entry->then_backward.empty()) {
    mapped.backward = catalog.schedule(found.entry->then_backward);
    mapped.backward_conditions = behind(mapped.conditions, harness->for_phase("bwd"));
  }
  return mapped;
}

Request MappedRow::request(const MeasuredRow& row, EngineKind engine) const {
  return {.workload = row.file + " " + row.id,
          .variant = variant,
          .problem = problem,
          .schedule = *schedule,
          .chip = *chip,
          .conditions = conditions,
          .engine = engine};
}

std::vector<Request> MappedRow::requests(const MeasuredRow& row, EngineKind engine) const {
  std::vector<Request> passes{request(row, engine)};
  if (!backward) return passes;
  Request second = passes.front();
  second.problem.pass = Pass::backward;
  second.schedule = *backward;
  second.conditions = backward_conditions;
  passes.push_back(std::move(second));
  return passes;
}

std::string MappedRow::schedules() const {
  if (!schedule) return "";
  return backward ? schedule->name + " + " + backward->name : schedule->name;
}

std::string MappedRow::key() const {
  if (problem.m > 0)
    return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", chip->name, schedule->name, harness, variant->name, problem.m, problem.n, problem.k,
                       ir::name_of(problem.dtype));
  std::string text = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", chip->name, schedules(), harness, conditions.locked_mhz,
                                 conditions.extra_kernels.size(), variant->name, problem.batch, problem.q_heads, problem.kv_heads,
                                 problem.q_len[0], problem.kv_len[0], problem.head_dim_qk, problem.head_dim_v);
  text += "|" + std::string(ir::name_of(problem.dtype)) + "|" + std::string(name_of(problem.pass));
  for (const auto& [name, times] : timed) text += fmt::format("|{} {}", times, name);
  for (const auto& [name, value] : problem.params) text += "|" + name + "=" + text_of(value);
  if (tiles) text += fmt::format("|tiles {} {}", fmt::join(tiles->q, "x"), fmt::join(tiles->kv, "x"));
  return text;
}

}  // namespace attnsim
