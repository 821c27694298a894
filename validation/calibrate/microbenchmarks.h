// SPDX-License-Identifier: Apache-2.0
// What published microbenchmarks say about a chip's figures, beside what the chip file says. One rule of a table per figure and
// quantity; a rule is a formula of the measured quantity with physical meaning, never a fit.
//
// Columns that are read: row_id, device, category, quantity, value, unit, conditions.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "hwmodels/chip.h"

namespace attnsim {

struct MicrobenchmarkFigure {
  std::string path;
  double value = 0;  // in the figure's unit
  int rows = 0;      // that it follows from
  double chip_value = 0;
  std::string status;  // of the chip's figure
  std::string how;
  bool sets = true;  // false: idle latencies and power-bound rates, which a figure under load exceeds or stays below
};

struct MicrobenchmarkTable {
  std::string file, chip;
  std::vector<std::string> devices;  // whose rows were taken
  std::vector<MicrobenchmarkFigure> figures;
  int unused_rows = 0;  // of these devices
  int other_rows = 0;   // of other devices
};

// `device`: "" for every device name that means this chip (workloads/devices.json). Throws ConfigError: unreadable file, missing
// column, bad number, a device that the file does not hold.
[[nodiscard]] MicrobenchmarkTable compare_microbenchmarks(const std::filesystem::path& file, const Chip& chip,
                                                          const std::string& device = "");

// The values of the named figures. Throws ConfigError for one that the table does not hold or that is not the figure itself.
[[nodiscard]] std::map<std::string, double> settable_figures(const MicrobenchmarkTable& table, const std::vector<std::string>& names);

}  // namespace attnsim
