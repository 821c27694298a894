// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sim/core/json_reader.h"
#include "validation/import/import.h"
#include "validation/mapping.h"
#include "validation/rows_format.h"

namespace attnsim {

namespace {

Json shape_of(const Problem& problem) {
  if (problem.m > 0 && problem.k > 0) return {{"m", problem.m}, {"n", problem.n}, {"k", problem.k}};
  if (problem.m > 0) return {{"m", problem.m}, {"n", problem.n}};
  Json shape{{"batch", problem.batch},
             {"q_heads", problem.q_heads},
             {"kv_heads", problem.kv_heads},
             {"q_len", problem.q_len[0]},
             {"kv_len", problem.kv_len[0]}};
  if (problem.head_dim_qk == problem.head_dim_v) {
    shape["head_dim"] = problem.head_dim_qk;
  } else {
    shape["head_dim_qk"] = problem.head_dim_qk;
    shape["head_dim_v"] = problem.head_dim_v;
  }
  return shape;
}

Json workload_of(const MeasuredRow& row, const MappedRow& mapped) {
  Json workload{{"name", row.id},
                {"variant", mapped.variant->name},
                {"schedule", mapped.schedule->name},
                {"shape", shape_of(mapped.problem)},
                {"dtype", std::string(ir::name_of(mapped.problem.dtype))},
                {"measured_us", row.measured_us}};
  if (row.window > 0) workload["params"] = {{"left", row.window - 1}, {"right", 0}};
  return workload;
}

}  // namespace

Json run_config_of(const std::vector<RowFields>& rows, std::vector<std::string>& left_out) {
  const std::vector<MeasuredRow> measured = read_row_table(parse_csv(rows_csv(rows), "rows"));
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  Json config{{"name", "imported"}, {"workloads", Json::array()}};
  std::string harness;
  for (const MeasuredRow& row : measured) {
    const MappedRow mapped = map_row(row, maps, catalog);
    if (!mapped.unmapped.empty()) {
      left_out.push_back(row.id + ": " + mapped.unmapped);
      continue;
    }
    if (mapped.backward) {
      left_out.push_back(row.id + ": times two passes, a workload is one");
      continue;
    }
    if (config["workloads"].empty()) {
      config["chip"] = mapped.chip->name;
      harness = mapped.harness;
    }
    if (config["chip"] != mapped.chip->name || harness != mapped.harness) {
      left_out.push_back(fmt::format("{}: of chip {} and harness {}, the config is of {} and {}", row.id, mapped.chip->name, mapped.harness,
                                     config["chip"].get<std::string>(), harness));
      continue;
    }
    config["workloads"].push_back(workload_of(row, mapped));
  }
  config["harness"] = harness;
  return config;
}

}  // namespace attnsim
