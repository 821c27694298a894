// SPDX-License-Identifier: Apache-2.0
// How far a prediction may be trusted, from the committed accuracy table (validation/accuracy.json, written by `validate`):
//   -> "validated: 7.8 % on 143 rows (h100-sxm, vllm_flash_attn_fa3 prefill)"
// Rows that no fit saw (split "test") decide where the table has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attnsim {

struct AccuracyEntry {
  std::string chip;
  std::string kernel;
  std::string phase;
  std::string split;  // "test", "calibration", "all"
  std::int64_t rows = 0;
  double mape = 0;  // per cent
  std::string note;
  std::vector<std::string> schedules;  // that stood for the kernel; empty: the kernel's name is the schedule's
};

// Entries over all sizes of single kernels; an absent table gives none.
[[nodiscard]] std::vector<AccuracyEntry> load_accuracy();
// The same, read once per process.
[[nodiscard]] const std::vector<AccuracyEntry>& accuracy_table();
[[nodiscard]] std::string standing(const std::vector<AccuracyEntry>& table, const std::string& chip, const std::string& schedule,
                                   const std::string& phase);

}  // namespace attnsim
