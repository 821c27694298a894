// SPDX-License-Identifier: Apache-2.0
// Where the shipped data (hwmodels/, workloads/, validation/, sim/select/tables) lie: $ATTNSIM_DATA, else the source tree.
#pragma once

#include <filesystem>

namespace attnsim {
[[nodiscard]] std::filesystem::path data_dir();
}
