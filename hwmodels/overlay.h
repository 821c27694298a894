// SPDX-License-Identifier: Apache-2.0
// Fitted figures of a chip, and figures that a microbenchmark of this very chip gave (status measured), kept apart from the base file so
// that it is plain what was fitted and on what:
//   {"chip": "toy", "description": "...", "fitted_on": "rows ...", "figures": {"hbm.efficiency":
//       {"value": 0.9, "status": "fitted", "source": "...", "uncertainty": "0.88 to 0.92"}}}
#pragma once

#include "sim/core/json_fwd.h"

namespace attnsim {

// Replaces the figures that the overlay names and notes it under "overlay". Throws ConfigError: another chip's overlay, a
// path that is no figure, a status other than fitted or measured, more than kMostFittedFigures fitted figures.
void apply_overlay(JsonDocument& chip, const JsonDocument& overlay, const std::string& chip_name);

}  // namespace attnsim
