// SPDX-License-Identifier: Apache-2.0
// A JSON Schema of the project, as an editor would hold a file against it.
#pragma once

#include <memory>
#include <string>

#include "sim/core/json_fwd.h"

namespace attnsim::test {

class SchemaValidator {
 public:
  explicit SchemaValidator(const std::string& schema_file);  // path under data_dir()
  ~SchemaValidator();
  SchemaValidator(const SchemaValidator&) = delete;
  SchemaValidator& operator=(const SchemaValidator&) = delete;

  [[nodiscard]] bool accepts(const Json& document) const;

 private:
  struct Schema;
  std::unique_ptr<Schema> schema_;
};

}  // namespace attnsim::test
