// SPDX-License-Identifier: Apache-2.0
// Text pieces that the JSON files of this folder share: pointers, values as a message shows them, lists of names.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace attnsim::json_text {

// "/a" + "b/c" -> "/a/b~1c"
[[nodiscard]] std::string append_pointer(const std::string& pointer, const std::string& key);
// The value as JSON, at most about 60 characters.
[[nodiscard]] std::string shown(const nlohmann::json& value);
[[nodiscard]] std::string joined(const std::vector<std::string>& names);
[[nodiscard]] std::vector<std::string> keys_of(const nlohmann::json& object);

}  // namespace attnsim::json_text
