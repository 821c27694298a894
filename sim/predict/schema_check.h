// SPDX-License-Identifier: Apache-2.0
// The shipped JSON Schemas hold for what the readers accept: what editors complete and what the program takes can't drift apart.
#pragma once

#include <string>

#include "sim/core/json_fwd.h"

namespace attnsim {

// `schema`: path under data_dir(). Throws ConfigError with every deviation.
void check_schema(const JsonDocument& document, const std::string& schema);

}  // namespace attnsim
