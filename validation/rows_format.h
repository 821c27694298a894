// SPDX-License-Identifier: Apache-2.0
// The project's own table of measured rows: what `attnsim import` writes and `validate --file` and `calibrate --file` read, whatever the
// file is called. A CSV file is one when its header holds all these columns.
//
//   row_id        name of the row
//   device        as in workloads/devices.json
//   library, version, kernel, phase, dtype    as kernel maps ask for them; phase is fwd, decode, gemm, softmax, layernorm, ...
//   batch ... head_dim_v                      of attention; empty for operators
//   mask          full, causal or causal_window; window: keys that a query keeps, itself included
//   m, n, k       of operators
//   paged         1, 0, or empty: not stated
//   sm_clock_mhz  during the run, where it was told: the prediction is made at this clock; else empty
//   harness       how it was timed (attnsim list harnesses); empty: as the kernel map says
//   time_us       median of `samples` timings
//   source        where it came from
//   counters      a column that may be missing: name=value;name=value, as counter_values.h reads it
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "validation/csv.h"
#include "validation/row.h"

namespace attnsim {

inline constexpr std::array<std::string_view, 25> kRowColumns{
    "row_id",   "device", "library",      "version",     "kernel",     "phase",   "dtype",  "batch", "q_heads",
    "kv_heads", "q_len",  "kv_len",       "head_dim_qk", "head_dim_v", "mask",    "window", "m",     "n",
    "k",        "paged",  "sm_clock_mhz", "harness",     "time_us",    "samples", "source"};

inline constexpr std::string_view kCountersColumn = "counters";

[[nodiscard]] bool is_row_table(const std::vector<std::string>& header);
// Throws ConfigError: every bad field with line and column.
[[nodiscard]] std::vector<MeasuredRow> read_row_table(const CsvTable& table);

}  // namespace attnsim
