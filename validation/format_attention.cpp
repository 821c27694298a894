// SPDX-License-Identifier: Apache-2.0
// Files whose rows are softmax attention.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "validation/file_formats.h"

namespace attnsim {

namespace {

// "vllm-0.14.0" is library vllm, version 0.14.0; "FlashAttention-2" is a name: its suffix has no dot.
void split_version(MeasuredRow& row) {
  const std::size_t dash = row.library.rfind('-');
  if (dash == std::string::npos || row.library.find('.', dash) == std::string::npos) return;
  row.version = row.library.substr(dash + 1);
  row.library.resize(dash);
}

void read_shape(CsvReader& reader, MeasuredRow& row) {
  row.batch = reader.integer("batch", 1, kMostInShape);
  row.q_heads = reader.integer("q_heads", 1, kMostInShape);
  row.kv_heads = reader.integer("kv_heads", 1, kMostInShape);
  row.q_len = reader.integer("q_len", 1, kMostInShape);
  row.kv_len = reader.integer("kv_len", 1, kMostInShape);
  if (row.q_heads % row.kv_heads != 0) reader.issue("kv_heads", "does not divide q_heads " + std::to_string(row.q_heads), "");
}

double density_of(const MeasuredRow& row) {
  return kept_pairs(row.mask, row.q_len, row.kv_len, row.window) / kept_pairs(MaskKind::full, row.q_len, row.kv_len, 0);
}

// "topk_sparse_attention topk=8 block=64": lists as that library's benchmark draws them, top-k of random scores of all blocks, whose
// first entry becomes block 0 and of which those behind the query are dropped.
void take_selected_blocks(MeasuredRow& row) {
  std::int64_t selected = 0;
  std::int64_t block = 0;
  if (std::sscanf(row.kernel.c_str(), "topk_sparse_attention topk=%" SCNd64 " block=%" SCNd64, &selected, &block) != 2) return;
  row.variant = "selected-blocks";
  row.params = {
      {"selected", std::to_string(selected)}, {"block", std::to_string(block)}, {"from", "all"}, {"own", "false"}, {"lists", "shared"}};
  row.no_mapping.clear();
}

MeasuredRow start_row(const CsvTable& table, const CsvRecord& record) {
  MeasuredRow row;
  row.file = table.file;
  row.line = record.line;
  row.id = "line " + std::to_string(record.line);
  return row;
}

// FLOPs of a pass over those of the forward pass, by the usual count of five and two matrix products.
double flops_factor(const std::string& pass) {
  return pass == "bwd" ? 2.5 : pass == "fwd_bwd" ? 3.5 : 1.0;
}

}  // namespace

std::vector<MeasuredRow> read_library_attention(const CsvTable& table) {
  constexpr std::array<std::string_view, 16> kColumns{"device", "library",    "kernel",   "phase",    "batch",  "q_len",
                                                      "kv_len", "q_heads",    "kv_heads", "head_dim", "window", "causal",
                                                      "dtype",  "latency_us", "flops",    "min_bytes"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row = start_row(table, record);
    row.device = reader.text("device");
    row.library = reader.text("library");
    split_version(row);
    row.kernel = reader.text("kernel");
    row.phase = reader.text("phase");
    row.dtype = reader.text("dtype");
    read_shape(reader, row);
    row.head_dim_qk = row.head_dim_v = reader.integer("head_dim", 1, kMostInShape);
    row.window = reader.integer("window", 0, kMostInShape);
    const bool causal = reader.flag("causal");
    row.mask = row.window > 0 ? MaskKind::causal_window : causal ? MaskKind::causal : MaskKind::full;
    row.mask_name = row.window > 0 ? "causal_window" : causal ? "causal" : "full";
    if (row.window > 0 && !causal) reader.issue("causal", "has no meaning here with a window", "1");
    row.density = density_of(row);
    row.paged = row.phase != "encoder";  // the file's description: paged KV but for the encoder calls
    row.measured_us = reader.positive("latency_us");
    row.flops = reader.non_negative("flops");
    row.bytes = reader.non_negative("min_bytes");
    row.shape = shape_label(row);
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

std::vector<MeasuredRow> read_fa3_locked(const CsvTable& table) {
  constexpr std::array<std::string_view, 13> kColumns{"device",  "clock_mhz", "l2",       "kernel", "batch",  "q_len",     "kv_len",
                                                      "q_heads", "kv_heads",  "head_dim", "dtype",  "causal", "latency_us"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row = start_row(table, record);
    row.device = reader.text("device");
    row.library = "fa3-isolated";  // the file states no library
    row.kernel = reader.text("kernel");
    row.dtype = reader.text("dtype");
    row.locked_clock_mhz = reader.positive("clock_mhz");
    if (reader.text("l2") != "cold") row.no_mapping = "no harness for L2 state \"" + reader.text("l2") + '"';
    read_shape(reader, row);
    row.head_dim_qk = row.head_dim_v = reader.integer("head_dim", 1, kMostInShape);
    row.mask = reader.flag("causal") ? MaskKind::causal : MaskKind::full;
    row.mask_name = row.mask == MaskKind::causal ? "causal" : "full";
    row.density = density_of(row);
    row.paged = false;
    row.measured_us = reader.positive("latency_us");
    row.flops = attention_flops(row, 1.0);
    row.bytes = attention_bytes(row, element_bytes(row.dtype));
    row.shape = shape_label(row);
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

std::vector<MeasuredRow> read_attention_published(const CsvTable& table) {
  constexpr std::array<std::string_view, 18> kColumns{"row_id",     "table_id", "device", "library", "kernel",   "version",
                                                      "dtype",      "pass",     "batch",  "q_heads", "kv_heads", "head_dim_qk",
                                                      "head_dim_v", "q_len",    "kv_len", "mask",    "window",   "time_ms"};
  require_columns(table, kColumns);
  const bool has_density = std::find(table.header.begin(), table.header.end(), "density") != table.header.end();
  const bool has_options = std::find(table.header.begin(), table.header.end(), "options") != table.header.end();
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row = start_row(table, record);
    if (has_options) row.options = reader.text("options");
    row.v_in_k = row.options.find("MLA absorbed") != std::string::npos;
    if (!reader.text("row_id").empty()) row.id = reader.text("row_id");
    row.set = reader.text("table_id");
    row.device = reader.text("device");
    row.library = reader.text("library");
    row.version = reader.text("version");
    row.kernel = reader.text("kernel");
    row.dtype = reader.text("dtype");
    row.phase = row.pass = reader.text("pass");
    read_shape(reader, row);
    row.head_dim_qk = reader.integer("head_dim_qk", 1, kMostInShape);
    row.head_dim_v = reader.integer("head_dim_v", 1, kMostInShape);
    row.mask_name = reader.text("mask");
    row.window = reader.text("window").empty() ? 0 : reader.integer("window", 0, kMostInShape);
    row.mask = row.mask_name == "full"            ? MaskKind::full
               : row.mask_name == "causal"        ? MaskKind::causal
               : row.mask_name == "causal_window" ? MaskKind::causal_window
                                                  : MaskKind::other;
    if (row.mask != MaskKind::other) row.density = density_of(row);
    if (has_density && !reader.text("density").empty()) row.density = reader.non_negative("density");
    row.measured_us = 1e3 * reader.positive("time_ms");
    if (row.mask != MaskKind::other || row.density) row.flops = attention_flops(row, flops_factor(row.pass));
    row.bytes = attention_bytes(row, element_bytes(row.dtype)) * (row.pass == "bwd" ? 2.0 : row.pass == "fwd_bwd" ? 3.0 : 1.0);
    row.shape = shape_label(row);
    if (row.mask == MaskKind::other) row.no_mapping = "no variant for mask \"" + row.mask_name + '"';
    if (row.mask_name == "block_sparse") take_selected_blocks(row);
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

}  // namespace attnsim
