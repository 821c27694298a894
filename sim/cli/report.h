// SPDX-License-Identifier: Apache-2.0
// What `run` and `explain` print, as text and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "sim/core/json_fwd.h"
#include "sim/predict/explanation.h"
#include "sim/predict/run.h"

namespace attnsim::cli {

//   prefill-8k  causal, fa3-sm90: batch 1, heads 32/8, q_len 8192, kv_len 8192, head_dim 128, bf16
//     rung            time  promise  bound  limited by
//     flops       355.2 us    2.00x  3.41x  tensor
//     ...
[[nodiscard]] std::string run_text(const RunConfig& config, const std::vector<Outcome>& outcomes);
[[nodiscard]] Json run_json(const RunConfig& config, const std::vector<Outcome>& outcomes);

// "batch 1, heads 32/8, q_len 8192, kv_len 8192, head_dim 128, bf16"
[[nodiscard]] std::string shape_text(const Problem& problem);
// One line of what a workload is, its clock and its harness.
[[nodiscard]] std::string heading(const Outcome& outcome);
[[nodiscard]] std::string harness_text(const Harness& harness);
[[nodiscard]] Json result_json(const Result& result);

// Waterfall of losses for the whole pipeline and per kernel; use of every resource with the reasons of its idle cycles; critical
// sequence, counts, counters; what would help; what would explain a measured time.
[[nodiscard]] std::string explain_text(const RunConfig& config, const std::vector<Outcome>& outcomes,
                                       const std::vector<Explanation>& explanations);
[[nodiscard]] Json explain_json(const RunConfig& config, const std::vector<Outcome>& outcomes,
                                const std::vector<Explanation>& explanations);

}  // namespace attnsim::cli
