// SPDX-License-Identifier: Apache-2.0
// JSON Schema (draft-07) of chip documents, made from the figure table. hwmodels/chip.schema.json is its committed text, from
// which editors complete; `test_hwmodels "[.write-schema]"` rewrites it.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace attnsim {
[[nodiscard]] nlohmann::json chip_schema();
}
