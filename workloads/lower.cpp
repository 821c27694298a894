// SPDX-License-Identifier: Apache-2.0
#include "workloads/lower.h"

#include "sim/core/error.h"
#include "workloads/families/table.h"

namespace attnsim {

ir::Pipeline lower(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                   const std::vector<ExtraKernel>& extras) {
  if (schedule.family != variant.family) {
    throw ConfigError(ConfigIssue{
        "", "/schedule", "\"" + schedule.name + "\"",
        "schedules the family " + schedule.family + ", " + std::string(variant.name) + " is of the family " + std::string(variant.family),
        "", ""});
  }
  if (schedule.pass != problem.pass) {
    throw ConfigError(ConfigIssue{"", "/schedule", "\"" + schedule.name + "\"",
                                  "schedules the " + std::string(name_of(schedule.pass)) + " pass, the workload asks for the " +
                                      std::string(name_of(problem.pass)) + " pass",
                                  "", ""});
  }
  for (const Family& family : families()) {
    if (family.name == variant.family) return family.lower(variant, kernel_problem(variant, problem), schedule, chip, extras);
  }
  throw Invariant("variant of a family without lowering");
}

}  // namespace attnsim
