// SPDX-License-Identifier: Apache-2.0
// NATTEN's profiler: one row per kernel of a call, neighbourhoods and dense baselines.
#include <algorithm>
#include <array>
#include <string>

#include "validation/file_formats.h"
#include "workloads/masks/gna_axis.h"
#include "workloads/variants/gna.h"

namespace attnsim {

namespace {

using Extents = std::vector<std::int64_t>;

// "16x8" as one number per axis, "8" for all of them; the wrong number of axes is an issue of the row.
Extents read_extents(CsvReader& reader, const char* column, std::size_t axes) {
  const Extents values = parse_extents(reader.text(column));
  if (values.size() == 1 && axes > 1) return Extents(axes, values.front());
  if (!values.empty() && (axes == 0 || values.size() == axes)) return values;
  reader.issue(column, "is no number per axis", "numbers joined by x");
  return Extents(std::max<std::size_t>(1, axes), 1);
}

bool tests_scores(const Extents& layout, const Extents& window, const Extents& stride, const Extents& q_tile, const Extents& kv_tile) {
  for (std::size_t a = 0; a < layout.size(); ++a)
    if (!natten_fully_block_sparse({layout[a], window[a], stride[a], false}, q_tile[a], kv_tile[a])) return true;
  return false;
}

void read_neighbourhood(CsvReader& reader, MeasuredRow& row, const Extents& layout) {
  const Extents window = read_extents(reader, "window", layout.size());
  const Extents stride = read_extents(reader, "stride", layout.size());
  row.variant = "gna";
  if (row.pass == "bwd") row.params["tokens"] = "boxes";
  for (const char* name : {"layout", "window", "stride", "dilation"}) row.params[name] = reader.text(name);
  row.mask = MaskKind::other;
  row.mask_name = "gna " + row.params["layout"] + " w" + row.params["window"] + " s" + row.params["stride"];
  double density = 1;
  for (std::size_t a = 0; a < layout.size(); ++a) density *= static_cast<double>(window[a]) / static_cast<double>(layout[a]);
  row.density = density;
  if (reader.text("q_tile").empty()) return;
  row.tiles = TilePair{read_extents(reader, "q_tile", layout.size()), read_extents(reader, "kv_tile", layout.size())};
  row.masked = tests_scores(layout, window, stride, row.tiles->q, row.tiles->kv);
}

// The kernel that a call is about, beside those that prepare and finish.
bool is_attention(const MeasuredRow& row, const std::string& operation) {
  return row.pass == "fwd" || operation.find("Backward") != std::string::npos;
}

}  // namespace

std::vector<MeasuredRow> read_natten_profiler(const CsvTable& table) {
  constexpr std::array<std::string_view, 18> kColumns{"run",    "gpu",     "dtype",  "batch",     "heads",      "head_dim",
                                                      "layout", "window",  "stride", "dilation",  "causal",     "backend",
                                                      "q_tile", "kv_tile", "pass",   "operation", "runtime_us", "set"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row;
    row.file = table.file;
    row.line = record.line;
    row.id = "line " + std::to_string(record.line) + " " + reader.text("run");
    row.device = reader.text("gpu");
    row.library = "natten-profiler";
    row.kernel = reader.text("backend") + " " + reader.text("operation");
    row.phase = row.pass = reader.text("pass");
    row.set = reader.text("set");
    row.dtype = reader.text("dtype");
    row.batch = reader.integer("batch", 1, kMostInShape);
    row.q_heads = row.kv_heads = reader.integer("heads", 1, kMostInShape);
    row.head_dim_qk = row.head_dim_v = reader.integer("head_dim", 1, kMostInShape);
    row.measured_us = reader.positive("runtime_us");
    const Extents layout = read_extents(reader, "layout", 0);
    row.q_len = 1;
    for (const std::int64_t length : layout) row.q_len *= length;
    row.kv_len = row.q_len;
    row.density = 1;
    if (!reader.text("window").empty()) {
      read_neighbourhood(reader, row, layout);
    } else if (reader.text("causal") == "True") {
      row.mask = MaskKind::causal;
      row.mask_name = "causal";
      row.density = kept_pairs(row.mask, row.q_len, row.kv_len, 0) / kept_pairs(MaskKind::full, row.q_len, row.kv_len, 0);
    }
    row.shape = shape_label(row);
    if (is_attention(row, reader.text("operation"))) {
      const double factor = row.pass == "bwd" ? 2.5 : 1.0;
      row.flops = attention_flops(row, factor);
      row.bytes = attention_bytes(row, 2) * (row.pass == "bwd" ? 2 : 1);
    } else {
      row.density.reset();
    }
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

}  // namespace attnsim
