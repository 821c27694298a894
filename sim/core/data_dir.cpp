// SPDX-License-Identifier: Apache-2.0
#include "sim/core/data_dir.h"

#include <cstdlib>

namespace attnsim {

std::filesystem::path data_dir() {
  if (const char* root = std::getenv("ATTNSIM_DATA")) return root;
  return ATTNSIM_SOURCE_DIR;
}

}  // namespace attnsim
