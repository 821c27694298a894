// SPDX-License-Identifier: Apache-2.0
// Schedules by name, from JSON (workloads/schedules/NAME.json), and the choice among them.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/core/json_fwd.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

struct CatalogEntry {
  std::string name;
  std::string description;
};
[[nodiscard]] std::vector<CatalogEntry> variant_catalog();
[[nodiscard]] std::vector<CatalogEntry> schedule_catalog();

// The document of a shipped schedule: what overrides are set on. Throws ConfigError with the nearest name.
[[nodiscard]] JsonDocument schedule_document(const std::string& name);
// Reads and checks a document (workloads/schedule.schema.json and what a schema can't say); all issues at once.
[[nodiscard]] Schedule parse_schedule(const JsonDocument& document);

// Shipped schedules that lower for this problem on this chip, by name; not those that accumulate in FP16, whose results are not as exact.
[[nodiscard]] std::vector<Schedule> legal_schedules(const Variant& variant, const Problem& problem, const Chip& chip);
// What "auto" means: the public kernel that users of the chip get (FA2, FA3 or FA4, their decode and backward forms), else fused-generic.
// Throws ConfigError when nothing is legal.
[[nodiscard]] Schedule default_schedule(const Variant& variant, const Problem& problem, const Chip& chip);

}  // namespace attnsim
