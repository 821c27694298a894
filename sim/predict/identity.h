// SPDX-License-Identifier: Apache-2.0
// What a result is a result of. Two results with one model hash and one resolved config are the same result.
#pragma once

#include <string>

#include "sim/predict/predict.h"

namespace attnsim {

// "attnsim 0.1.0 (v0.1-12-gabc1234)"; without git at build time, the hash of the sources stands in.
[[nodiscard]] std::string version_text();
[[nodiscard]] std::string git_version();  // "" without git
// Of the C++ sources that reach a number, taken at build time; edits to reports and tests don't change it.
[[nodiscard]] std::string source_hash();
// Of the code and of the resolved config (resolved_config(request), where the caller has it already).
[[nodiscard]] std::string model_hash(const Request& request);
[[nodiscard]] std::string model_hash(const Request& request, const std::string& resolved);

}  // namespace attnsim
