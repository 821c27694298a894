// SPDX-License-Identifier: Apache-2.0
// One of the project's JSON Schemas, as an editor would hold a file against it. Parts that another schema file describes (a chip, a
// harness inside a run) are left to their own readers: anything goes there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/core/json_fwd.h"

namespace attnsim {

class JsonSchema {
 public:
  explicit JsonSchema(const std::string& file);  // path under data_dir()
  ~JsonSchema();
  JsonSchema(const JsonSchema&) = delete;
  JsonSchema& operator=(const JsonSchema&) = delete;

  struct Deviation {
    std::string pointer;
    std::string description;
  };
  [[nodiscard]] std::vector<Deviation> deviations(const Json& document) const;
  [[nodiscard]] bool accepts(const Json& document) const { return deviations(document).empty(); }

 private:
  struct Parsed;
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace attnsim
