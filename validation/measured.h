// SPDX-License-Identifier: Apache-2.0
// `attnsim validate --measured`: the committed rows of attnsim-bench (validation/measurements/DEVICE/*.jsonl) against predictions. A folder
// may hold overlay.json, the figures that the microbenchmarks found on that device; else the chip's shipped overlay holds.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "validation/own_rows.h"

namespace attnsim {

struct MeasuredDevice {
  std::string folder;  // its name
  std::string device;
  std::string chip;
  std::vector<OwnRow> rows;                      // stale ones included
  std::optional<std::filesystem::path> overlay;  // figures of its microbenchmarks
};

struct MeasuredValidation {
  std::filesystem::path folder;
  std::vector<MeasuredDevice> devices;
};

[[nodiscard]] std::filesystem::path default_own_measurements();  // validation/measurements
// A folder of device folders, or one device folder; rows without predictions. Throws ConfigError for malformed rows.
[[nodiscard]] std::vector<MeasuredDevice> read_measured(const std::filesystem::path& folder);
// The same with predictions. An absent or empty one gives no devices. Throws ConfigError for malformed rows.
[[nodiscard]] MeasuredValidation validate_measured(const std::filesystem::path& folder, int jobs,
                                                   const std::function<void(std::size_t, std::size_t)>& progress);
[[nodiscard]] std::string measured_text(const MeasuredValidation& validation);
[[nodiscard]] std::string measured_json(const MeasuredValidation& validation);
// Mean absolute errors in per cent by device and kernel, what the README's table is made of (scripts/measured_table.py).
[[nodiscard]] std::string measured_accuracy(const MeasuredValidation& validation, const std::string& version);

}  // namespace attnsim
