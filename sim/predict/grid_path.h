// SPDX-License-Identifier: Apache-2.0
// Where a path of a sweep's grid points in a run config.
#pragma once

#include <string>

#include "sim/core/json_fwd.h"

namespace attnsim {

// Throws ConfigError at `pointer` of `file` with the nearest name when the path can't be set in `run`.
void check_grid_path(const Json& run, const std::string& path, const std::string& file, const std::string& pointer);
// Sets a checked path. A named chip or schedule becomes a reference with an override.
void apply_setting(Json& run, const std::string& path, const Json& value);

}  // namespace attnsim
