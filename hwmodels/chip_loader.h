// SPDX-License-Identifier: Apache-2.0
// Chips from JSON: hwmodels/chips/NAME.json, plus hwmodels/overlays/NAME.json (fitted figures) when it exists.
#pragma once

#include "hwmodels/chip.h"
#include "sim/core/json_fwd.h"

namespace attnsim {

// A shipped chip with its overlay. Throws ConfigError with the nearest name.
[[nodiscard]] Chip load_chip(const std::string& name);
// A shipped chip with the figures of this overlay on top of the shipped one's.
[[nodiscard]] Chip load_chip(const std::string& name, const JsonDocument& overlay);
// The document of a shipped chip, overlay applied: what overrides are set on.
[[nodiscard]] JsonDocument chip_document(const std::string& name);
[[nodiscard]] JsonDocument chip_document(const std::string& name, const JsonDocument& overlay);
// Reads and checks a document (schema, ranges, cross-field checks); all issues at once.
[[nodiscard]] Chip parse_chip(const JsonDocument& document);

}  // namespace attnsim
