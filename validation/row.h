// SPDX-License-Identifier: Apache-2.0
// One published timing, whichever file it came from. `device`, `kernel` and `phase` are the file's own words.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "workloads/tile_shapes.h"

namespace attnsim {

enum class MaskKind { full, causal, causal_window, other };

struct MeasuredRow {
  std::string file;
  int line = 0;
  std::string id;  // row_id column, else "line N"
  std::string device;
  std::string library;  // without a version suffix: "vllm"
  std::string version;  // "0.14.0", or the version column
  std::string kernel;
  std::string phase;  // `pass` where the file has that column; "" where it has neither
  std::string pass;   // the `pass` column alone
  std::string set;    // rows of one set were timed together
  std::string dtype;  // as in the file
  std::int64_t batch = 0, q_heads = 0, kv_heads = 0, q_len = 0, kv_len = 0, head_dim_qk = 0, head_dim_v = 0;
  std::int64_t m = 0, n = 0, k = 0;  // operators: phase is gemm, softmax or layernorm
  MaskKind mask = MaskKind::full;
  std::string mask_name;
  std::int64_t window = 0;                    // keys that a query keeps, itself included; 0: no window
  std::string options;                        // of the call, as the table states them
  std::optional<double> density;              // kept pairs over all pairs
  std::optional<bool> paged;                  // K/V behind a block table
  std::string variant;                        // "": as mask and operator say
  std::map<std::string, std::string> params;  // of that variant
  std::optional<bool> masked;                 // neighbourhoods: whether the kernel tests its scores
  std::optional<TilePair> tiles;              // neighbourhoods: of the kernel that was timed
  bool v_in_k = false;                        // absorbed MLA: V is a part of K's tensor
  double locked_clock_mhz = 0;                // 0: not locked
  std::string harness;                        // "": as the kernel map says
  double measured_us = 0;
  double flops = 0;                        // 0: not known
  double bytes = 0;                        // compulsory; 0: not known
  std::map<std::string, double> counters;  // of one launch, by the names of predicted_counter (counter_values.h)
  std::string shape;                       // "4x32/8 q512 kv512 d128 causal"
  std::string no_mapping;                  // why no pipeline can stand for this row, whatever the kernel map says
};

inline constexpr std::int64_t kMostInShape = std::int64_t{1} << 31;  // of a length or a count in a file
[[nodiscard]] double element_bytes(const std::string& dtype);
// Kept (query, key) pairs of one head; queries are aligned to the end of the keys.
[[nodiscard]] double kept_pairs(MaskKind mask, std::int64_t q_len, std::int64_t kv_len, std::int64_t window);
// 4 d FLOPs a kept pair, and every input and output once (of a window only the keys that some query keeps). `factor`: 1 forward,
// 2.5 backward.
[[nodiscard]] double attention_flops(const MeasuredRow& row, double factor);
[[nodiscard]] double attention_bytes(const MeasuredRow& row, double bytes_per_element);
[[nodiscard]] std::string shape_label(const MeasuredRow& row);

// Half of all shapes belong to each side. The side depends on what was timed, never on the time or on the row's place in its file,
// so that two timings of one problem stay together.
enum class Split { calibration, test, all };
[[nodiscard]] Split split_of(const MeasuredRow& row);

}  // namespace attnsim
