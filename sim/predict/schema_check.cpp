// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/schema_check.h"

#include "sim/core/json_reader.h"
#include "sim/core/json_schema.h"

namespace attnsim {

void check_schema(const JsonDocument& document, const std::string& schema) {
  std::vector<ConfigIssue> issues;
  for (const auto& [pointer, description] : JsonSchema(schema).deviations(document.root))
    issues.push_back({document.file, pointer, "", "is against " + schema + ": " + description, "", ""});
  if (!issues.empty()) throw ConfigError(std::move(issues));
}

}  // namespace attnsim
