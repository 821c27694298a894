// SPDX-License-Identifier: Apache-2.0
// What `calibrate` prints, as text and as JSON. Pure.
//
//   calibrate toy; start: shipped figures
//     parameter                  start  fitted  error   bounds        <= 20 us  to 100 us ...
//     launch.cta_start_cycles      500    1210  +- 3 %  100 to 8000       0.31       0.12
//   rows that the fit did not see         rows  before   after
//     library_attention.csv k decode       104  25.3 %   6.9 %
//   accepted: rows that the fit did not see go from 25.30 % to 6.90 %
#pragma once

#include <string>

#include "validation/calibrate/calibrate.h"
#include "validation/calibrate/microbenchmarks.h"

namespace attnsim::cli {

[[nodiscard]] std::string calibration_text(const Calibration& calibration);
[[nodiscard]] Json calibration_json(const Calibration& calibration);

//   figure          microbenchmark says  rows  chip says  status     difference
//   hbm.efficiency                0.867     1       0.83  fitted         +4.5 %
[[nodiscard]] std::string microbenchmarks_text(const MicrobenchmarkTable& table);
[[nodiscard]] Json microbenchmarks_json(const MicrobenchmarkTable& table);

}  // namespace attnsim::cli
