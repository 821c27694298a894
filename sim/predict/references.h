// SPDX-License-Identifier: Apache-2.0
// Members of a run config that name a shipped document, hold one, or name one and change it.
#pragma once

#include "sim/predict/run_config.h"

namespace attnsim {

// "h100-sxm" | an inline chip document | {"name": "h100-sxm", "overrides": {"hbm.bandwidth_gb_per_s": 6700}}
[[nodiscard]] Chip read_chip(FieldReader& root, const std::string& file);
// "vllm-replay-h100" | an inline harness document | absent: "default" (one call, boost clock, cold L2, launch included).
[[nodiscard]] Harness read_harness(FieldReader& root, const std::string& file);
// "auto" | "best" | NAME | {"name": "auto" or NAME, "overrides": {...}} | absent: auto
[[nodiscard]] ScheduleChoice read_schedule_choice(FieldReader& reader, const std::string& key, const std::string& file);
// The schedules that a choice stands for; `best`: all legal ones. `pointer` is that of the workload.
[[nodiscard]] std::vector<Schedule> resolve_schedules(const ScheduleChoice& choice, const Variant& variant, const Problem& problem,
                                                      const Chip& chip, const std::string& file, const std::string& pointer);

}  // namespace attnsim
