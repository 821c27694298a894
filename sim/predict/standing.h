// SPDX-License-Identifier: Apache-2.0
// How far a prediction may be trusted, from the committed accuracy table (validation/accuracy.json):
//   {"entries": [{"chip": "h100-sxm", "kernel": "vllm_flash_attn_fa3", "phase": "prefill", "rows": 143, "mape": 7.8, "note": "",
//                 "schedules": ["fa3-sm90"]}]}
// -> "validated: 7.8 % on 143 rows (h100-sxm, vllm_flash_attn_fa3 prefill)"
#pragma once

#include <string>
#include <vector>

namespace attnsim {

struct AccuracyEntry {
  std::string chip;
  std::string kernel;
  std::string phase;
  std::int64_t rows = 0;
  double mape = 0;  // per cent
  std::string note;
  std::vector<std::string> schedules;  // that the kernel maps to; empty: the kernel's name is the schedule's
};

// An absent table gives no entries.
[[nodiscard]] std::vector<AccuracyEntry> load_accuracy();
[[nodiscard]] std::string standing(const std::vector<AccuracyEntry>& table, const std::string& chip, const std::string& schedule,
                                   const std::string& phase);

}  // namespace attnsim
