// SPDX-License-Identifier: Apache-2.0
// Files that the tests of import read: samples that lie beside them, and texts written for a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace attnsim::test {

inline std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(ATTNSIM_SOURCE_DIR) / "tests" / "validation" / "import" / "samples" / name;
}

inline std::filesystem::path written(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("attnsim_import_" + name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace attnsim::test
