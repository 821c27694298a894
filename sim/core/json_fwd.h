// SPDX-License-Identifier: Apache-2.0
// Names of json_reader.h for headers that only pass them on, so that what includes those need not read the JSON library.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace attnsim {

using Json = nlohmann::json;
struct JsonDocument;
class FieldReader;

}  // namespace attnsim
