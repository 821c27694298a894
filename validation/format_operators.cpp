// SPDX-License-Identifier: Apache-2.0
// Files whose rows are plain operators: matrix products, softmax, layer norm.
#include <fmt/format.h>

#include <array>
#include <string>

#include "validation/file_formats.h"

namespace attnsim {

namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 24;

// Inputs and outputs once; results of fp8 products are 16 bits wide.
void set_work(MeasuredRow& row) {
  const auto m = static_cast<double>(row.m);
  const auto n = static_cast<double>(row.n);
  const auto k = static_cast<double>(row.k);
  if (row.phase == "gemm") {
    row.flops = 2 * m * n * k;
    row.bytes = (m * k + k * n) * element_bytes(row.dtype) + m * n * 2;
    row.shape = fmt::format("m{} n{} k{}", row.m, row.n, row.k);
  } else {
    row.bytes = 2 * m * n * element_bytes(row.dtype);
    row.shape = fmt::format("m{} n{}", row.m, row.n);
  }
}

MeasuredRow start_operator_row(const CsvTable& table, const CsvRecord& record, CsvReader& reader) {
  MeasuredRow row;
  row.file = table.file;
  row.line = record.line;
  row.device = reader.text("device");
  row.dtype = reader.text("dtype");
  row.m = reader.integer("m", 1, kMostRows);
  row.n = reader.integer("n", 1, kMostRows);
  return row;
}

// How the layers that were timed bring their activations to 8 bits (ai-dynamo/aiconfigurator
// collector/{vllm,sglang,trtllm}/collect_gemm.py: vLLM with a static scale, SGLang's kernel for one of each token, TensorRT-LLM without a
// scale beside its weights).
std::string quantization_of(const std::string& library) {
  return library == "vllm" ? "static" : library == "sglang" ? "token" : "tensor";
}

}  // namespace

std::vector<MeasuredRow> read_gemm(const CsvTable& table) {
  constexpr std::array<std::string_view, 10> kColumns{"row_id", "device", "library", "version", "kernel",
                                                      "dtype",  "m",      "n",       "k",       "time_ms"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row = start_operator_row(table, record, reader);
    row.id = reader.text("row_id");
    row.library = reader.text("library");
    row.version = reader.text("version");
    row.kernel = reader.text("kernel");
    row.phase = "gemm";
    row.k = reader.integer("k", 1, kMostRows);
    row.measured_us = 1e3 * reader.positive("time_ms");
    set_work(row);
    if (row.dtype == "fp8") {  // a group of its own, so that what is predicted can be judged by itself
      row.phase = "8-bit gemm";
      row.params["quantize"] = quantization_of(row.library);
    }
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

std::vector<MeasuredRow> read_operators(const CsvTable& table) {
  constexpr std::array<std::string_view, 7> kColumns{"device", "op", "m", "n", "k", "dtype", "latency_us"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<MeasuredRow> rows;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    MeasuredRow row = start_operator_row(table, record, reader);
    row.id = "line " + std::to_string(record.line);
    row.library = "pytorch";
    row.kernel = row.phase = reader.text("op");
    if (row.phase == "gemm") row.k = reader.integer("k", 1, kMostRows);
    if (row.phase != "gemm" && row.phase != "softmax" && row.phase != "layernorm") row.no_mapping = "no variant for operator " + row.phase;
    row.measured_us = reader.positive("latency_us");
    set_work(row);
    rows.push_back(std::move(row));
  }
  reader.finish();
  return rows;
}

}  // namespace attnsim
