// SPDX-License-Identifier: Apache-2.0
// Rows of attnsim-bench (validation/measurements/DEVICE) as rows of a fit.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "validation/calibrate/row_model.h"

namespace attnsim {

struct OwnModelRows {
  std::vector<ModelRow> calibration, unseen;
  std::vector<std::string> files;               // "DEVICE/rows.jsonl"
  std::vector<std::string> devices;             // names of the hardware
  std::map<std::string, std::size_t> unmapped;  // reason: rows
  std::optional<JsonDocument> overlay;          // what the device's microbenchmarks found
};

// Those of `folder` (a device folder, or one of several) whose device is this chip. Throws ConfigError: none there, or devices of one
// chip with an overlay each.
[[nodiscard]] OwnModelRows own_model_rows(const std::filesystem::path& folder, const std::string& chip);

}  // namespace attnsim
