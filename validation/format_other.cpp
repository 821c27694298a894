// SPDX-License-Identifier: Apache-2.0
// Files whose rows have no pipeline yet: read and checked, so that they are counted as unmapped.
#include <algorithm>
#include <array>
#include <string>

#include "validation/file_formats.h"

namespace attnsim {

namespace {

bool has_column(const CsvTable& table, std::string_view column) {
  return std::find(table.header.begin(), table.header.end(), column) != table.header.end();
}

// What a file calls the columns that every row needs; "" where it has no such column.
struct ColumnNames {
  std::string_view device, library, kernel, pass, set, dtype, time;
  double us_per_unit = 1;
  std::string_view shape[6];
};

std::vector<MeasuredRow> read_unmapped(const CsvTable& table, const ColumnNames& names, const std::string& reason) {
  std::vector<std::string_view> columns;
  for (const std::string_view c : {names.device, names.library, names.kernel, names.pass, names.set, names.dtype, names.time})
    if (!c.empty()) columns.push_back(c);
  for (const std::string_view c : names.shape)
    if (!c.empty()) columns.push_back(c);
  require_columns(table, columns);
  CsvReader reader(table);
  const auto text = [&](std::string_view column) { return column.empty() ? std::string() : reader.text(column); };
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    if (reader.text(names.time).empty()) continue;  // a rate without a time
    MeasuredRow row;
    row.file = table.file;
    row.line = record.line;
    row.id = has_column(table, "row_id") ? reader.text("row_id") : "line " + std::to_string(record.line);
    row.device = text(names.device);
    row.library = text(names.library);
    row.kernel = text(names.kernel);
    row.phase = row.pass = text(names.pass);
    row.set = text(names.set);
    row.dtype = text(names.dtype);
    row.measured_us = names.us_per_unit * reader.positive(names.time);
    for (const std::string_view c : names.shape)
      if (!c.empty() && !reader.text(c).empty()) row.shape += (row.shape.empty() ? "" : " ") + std::string(c) + "=" + reader.text(c);
    row.no_mapping = reason;
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

}  // namespace

std::vector<MeasuredRow> read_linear_attention(const CsvTable& table) {
  const ColumnNames names{
      "device", "library", "kernel", "pass", "table_id", "dtype", "time_ms", 1e3, {"batch", "seq_len", "heads_v", "heads_k", "dk", "dv"}};
  return read_unmapped(table, names, "no linear attention variant yet");
}

std::vector<MeasuredRow> read_distributed(const CsvTable& table) {
  const ColumnNames names{
      "device", "library", "op", "", "", "dtype", "time_ms", 1e3, {"n_gpus", "topology", "batch", "seq_total", "bytes_per_rank"}};
  return read_unmapped(table, names, "no collectives and no multi-GPU pipelines yet");
}

}  // namespace attnsim
