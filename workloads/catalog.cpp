// SPDX-License-Identifier: Apache-2.0
#include "workloads/catalog.h"

#include <algorithm>
#include <array>
#include <optional>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "workloads/lower.h"

namespace attnsim {

namespace {

// First legal name wins.
enum class Use { prefill, decode, backward };
struct DefaultRule {
  std::string_view isa;  // "" = any
  Use use;
  std::array<const char*, 2> schedules;
};
// First legal name wins, whatever the problem's shape.
struct OperatorRule {
  std::string_view variant;
  std::array<std::string_view, 8> schedules;
};
constexpr std::array kOperatorDefaults{
    OperatorRule{"gemm", {"gemm-sm100", "gemm-sm90", "gemm-sm80", "gemm-f8-sm100", "gemm-f8-sm90", "gemm-f8-sm89", "gemm-generic"}},
    OperatorRule{"gna", {"natten-fna-sm100", "natten-fna-sm90", "natten-fna-sm80"}},
    OperatorRule{"na", {"natten-fna-sm100", "natten-fna-sm90", "natten-fna-sm80"}},
    OperatorRule{"mla-decode", {"cutlass-mla-sm100", "flashmla-sm90", "flashinfer-mla-sm80", "mla-generic"}},
    OperatorRule{"softmax", {"softmax-pytorch"}},
    OperatorRule{"layernorm", {"layernorm-pytorch"}},
};

constexpr std::array kDefaults{
    DefaultRule{"sm_90", Use::prefill, {"fa3-sm90", "fa2-sm80"}},
    DefaultRule{"sm_90", Use::decode, {"splitkv-decode-sm90", "splitkv-decode"}},
    DefaultRule{"sm_100", Use::prefill, {"fa4-sm100", "fa2-sm80"}},
    DefaultRule{"sm_100", Use::decode, {"trtllm-decode-sm100", "splitkv-decode-lastcta"}},
    DefaultRule{"sm_103", Use::prefill, {"fa4-sm100", "fa2-sm80"}},
    DefaultRule{"sm_103", Use::decode, {"trtllm-decode-sm100", "splitkv-decode-lastcta"}},
    DefaultRule{"cdna2", Use::prefill, {"fa2-cdna", "fused-generic"}},
    DefaultRule{"cdna2", Use::decode, {"splitkv-decode-cdna", "fused-generic"}},
    DefaultRule{"cdna3", Use::prefill, {"fa2-cdna", "fused-generic"}},
    DefaultRule{"cdna3", Use::decode, {"splitkv-decode-cdna", "fused-generic"}},
    DefaultRule{"cdna4", Use::prefill, {"fa2-cdna", "fused-generic"}},
    DefaultRule{"cdna4", Use::decode, {"splitkv-decode-cdna", "fused-generic"}},
    DefaultRule{"sm_90", Use::backward, {"fa3-bwd-sm90", "fa2-bwd-sm80"}},
    DefaultRule{"sm_100", Use::backward, {"fa4-bwd-sm100", "fa2-bwd-sm80"}},
    DefaultRule{"sm_103", Use::backward, {"fa4-bwd-sm100", "fa2-bwd-sm80"}},
    DefaultRule{"simd", Use::prefill, {"host-fa", "fused-generic"}},
    DefaultRule{"simd", Use::decode, {"host-decode", "host-fa"}},
    DefaultRule{"", Use::backward, {"fa2-bwd-sm80", "fused-generic-bwd"}},
    DefaultRule{"", Use::prefill, {"fa2-sm80", "fused-generic"}},
    DefaultRule{"", Use::decode, {"splitkv-decode", "fused-generic"}},
};

std::optional<ConfigError> complaint(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  try {
    (void)lower(variant, problem, schedule, chip);
    return std::nullopt;
  } catch (const ConfigError& error) {
    return error;
  }
}

}  // namespace

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir() / "workloads" / "schedules")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

JsonDocument schedule_document(const std::string& name) {
  const std::vector<std::string> names = schedule_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    std::string allowed;
    for (const std::string& n : names) allowed += (allowed.empty() ? "" : ", ") + n;
    throw ConfigError(ConfigIssue{"", "/schedule", "\"" + name + "\"", "is no schedule", allowed, nearest_name(name, names)});
  }
  return read_json_file(data_dir() / "workloads" / "schedules" / (name + ".json"));
}

Schedule load_schedule(const std::string& name) {
  return parse_schedule(schedule_document(name));
}

std::vector<CatalogEntry> variant_catalog() {
  std::vector<CatalogEntry> entries;
  for (const Variant& v : variants()) entries.push_back({std::string(v.name), std::string(v.description)});
  return entries;
}

std::vector<CatalogEntry> schedule_catalog() {
  std::vector<CatalogEntry> entries;
  for (const std::string& name : schedule_names()) entries.push_back({name, load_schedule(name).description});
  return entries;
}

std::vector<Schedule> legal_schedules(const Variant& variant, const Problem& problem, const Chip& chip) {
  std::vector<Schedule> legal;
  for (const std::string& name : schedule_names()) {
    Schedule schedule = load_schedule(name);
    if (schedule.family != variant.family || schedule.pass != problem.pass || schedule.accumulates_f16()) continue;
    if (!complaint(variant, problem, schedule, chip)) legal.push_back(std::move(schedule));
  }
  return legal;
}

Schedule default_schedule(const Variant& variant, const Problem& problem, const Chip& chip) {
  // Where none is legal: what is wrong with the problem, rather than that a schedule is for another chip.
  std::optional<ConfigError> why;
  const auto legal = [&](std::string_view name) -> std::optional<Schedule> {
    Schedule schedule = load_schedule(std::string(name));
    std::optional<ConfigError> refusal = complaint(variant, problem, schedule, chip);
    if (!refusal) return schedule;
    if (!why || why->issues().front().pointer == "/schedule") why = std::move(refusal);
    return std::nullopt;
  };
  for (const OperatorRule& rule : kOperatorDefaults) {
    if (rule.variant != variant.name) continue;
    for (const std::string_view name : rule.schedules) {
      if (name.empty()) continue;
      if (std::optional<Schedule> schedule = legal(name)) return *std::move(schedule);
    }
    throw *why;
  }
  const Use use = problem.pass == Pass::backward ? Use::backward : problem.is_decode() ? Use::decode : Use::prefill;
  for (const DefaultRule& rule : kDefaults) {
    if ((!rule.isa.empty() && rule.isa != chip.isa) || rule.use != use) continue;
    for (const char* name : rule.schedules) {
      if (std::optional<Schedule> schedule = legal(name)) return *std::move(schedule);
    }
  }
  throw *why;
}

}  // namespace attnsim
