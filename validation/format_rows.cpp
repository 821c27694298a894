// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sim/core/json_text.h"
#include "validation/counter_values.h"
#include "validation/rows_format.h"
#include "workloads/harness.h"

namespace attnsim {

namespace {

bool is_operator(const std::string& phase) {
  return phase == "gemm" || phase == "softmax" || phase == "layernorm";
}

void read_operator(CsvReader& reader, MeasuredRow& row) {
  row.m = reader.integer("m", 1, kMostInShape);
  row.n = reader.integer("n", 1, kMostInShape);
  if (row.phase == "gemm") row.k = reader.integer("k", 1, kMostInShape);
  const auto m = static_cast<double>(row.m), n = static_cast<double>(row.n), k = static_cast<double>(row.k);
  row.flops = 2 * m * n * k;
  row.bytes = row.k > 0 ? (m * k + k * n) * element_bytes(row.dtype) + m * n * 2 : 2 * m * n * element_bytes(row.dtype);
  row.shape = row.k > 0 ? fmt::format("m{} n{} k{}", row.m, row.n, row.k) : fmt::format("m{} n{}", row.m, row.n);
}

void read_mask(CsvReader& reader, MeasuredRow& row) {
  row.mask_name = reader.text("mask");
  row.window = reader.text("window").empty() ? 0 : reader.integer("window", 0, kMostInShape);
  if (row.mask_name == "full")
    row.mask = MaskKind::full;
  else if (row.mask_name == "causal")
    row.mask = MaskKind::causal;
  else if (row.mask_name == "causal_window")
    row.mask = MaskKind::causal_window;
  else
    reader.issue("mask", "is no mask", "full, causal, causal_window");
  if ((row.window > 0) != (row.mask == MaskKind::causal_window))
    reader.issue("window", "and mask " + row.mask_name + " contradict each other", "a window with causal_window, none otherwise");
}

void read_attention(CsvReader& reader, MeasuredRow& row) {
  row.batch = reader.integer("batch", 1, kMostInShape);
  row.q_heads = reader.integer("q_heads", 1, kMostInShape);
  row.kv_heads = reader.integer("kv_heads", 1, kMostInShape);
  if (row.q_heads % row.kv_heads != 0) reader.issue("kv_heads", "does not divide q_heads " + std::to_string(row.q_heads), "");
  row.q_len = reader.integer("q_len", 1, kMostInShape);
  row.kv_len = reader.integer("kv_len", 1, kMostInShape);
  row.head_dim_qk = reader.integer("head_dim_qk", 1, kMostInShape);
  row.head_dim_v = reader.integer("head_dim_v", 1, kMostInShape);
  read_mask(reader, row);
  row.density = kept_pairs(row.mask, row.q_len, row.kv_len, row.window) / kept_pairs(MaskKind::full, row.q_len, row.kv_len, 0);
  if (!reader.text("paged").empty()) row.paged = reader.flag("paged");
  const bool backward = row.phase == "bwd";
  row.flops = attention_flops(row, backward ? 2.5 : 1.0);
  row.bytes = attention_bytes(row, element_bytes(row.dtype)) * (backward ? 2.0 : 1.0);
  row.shape = shape_label(row);
  if (backward) row.no_mapping = "no backward pass yet";
}

}  // namespace

bool is_row_table(const std::vector<std::string>& header) {
  return std::all_of(kRowColumns.begin(), kRowColumns.end(),
                     [&](std::string_view column) { return std::find(header.begin(), header.end(), column) != header.end(); });
}

std::vector<MeasuredRow> read_row_table(const CsvTable& table) {
  require_columns(table, kRowColumns);
  const std::vector<std::string> harnesses = harness_names();
  const bool counted = std::find(table.header.begin(), table.header.end(), kCountersColumn) != table.header.end();
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row;
    row.file = table.file;
    row.line = record.line;
    row.id = reader.text("row_id").empty() ? "line " + std::to_string(record.line) : reader.text("row_id");
    row.device = reader.text("device");
    row.library = reader.text("library");
    row.version = reader.text("version");
    row.kernel = reader.text("kernel");
    row.phase = row.pass = reader.text("phase");
    row.dtype = reader.text("dtype");
    row.locked_clock_mhz = reader.text("sm_clock_mhz").empty() ? 0 : reader.positive("sm_clock_mhz");
    row.harness = reader.text("harness");
    if (!row.harness.empty() && std::find(harnesses.begin(), harnesses.end(), row.harness) == harnesses.end())
      reader.issue("harness", "is no harness", json_text::joined(harnesses));
    row.measured_us = reader.positive("time_us");
    if (counted) {
      try {
        row.counters = read_counters_cell(reader.text(std::string(kCountersColumn)));
      } catch (const std::invalid_argument& bad) {
        reader.issue(std::string(kCountersColumn), std::string("holds \"") + bad.what() + '"', "name=value;name=value");
      }
    }
    if (is_operator(row.phase))
      read_operator(reader, row);
    else
      read_attention(reader, row);
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

}  // namespace attnsim
