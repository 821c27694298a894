// SPDX-License-Identifier: Apache-2.0
// The report of `attnsim validate` as text, as JSON, and as the committed accuracy table.
//
//   fa3_h100_locked_clock.csv
//     device    kernel       phase  band      rows  unmapped   mape  median    p90    max   bias    tau  speedup  roofline  fitted
//     h100_sxm  all          all    all         12         0    6.2     5.1   11.8   14.0   +1.2   0.97      3.4      41.0    12.9
#pragma once

#include <span>
#include <string>
#include <vector>

#include "validation/groups.h"

namespace attnsim {

// One object {"groups": [...]}, with "ratios" where rows have some (ratios.h); with rows also {"rows": [...]}. Ends with a line break.
[[nodiscard]] std::string report_json(std::span<const Group> groups, std::span<const RowOutcome> outcomes, bool with_rows);

// Aligned tables, one per file; ratios (ratios.h); then reasons of unmapped rows with counts. Groups without rows are left out.
[[nodiscard]] std::string report_text(std::span<const Group> groups, std::span<const RowOutcome> outcomes, bool with_rows);

// validation/accuracy.json: groups over all rows and over each half of the split, so that rows which no fit saw stand by themselves.
[[nodiscard]] std::string accuracy_json(std::span<const RowOutcome> outcomes, const std::string& model_version);

}  // namespace attnsim
