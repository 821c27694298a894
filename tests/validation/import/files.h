// SPDX-License-Identifier: Apache-2.0
// Files that the tests of import read: samples that lie beside them, and texts written for a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace attnsim::test {

inline std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(ATTNSIM_SOURCE_DIR) / "tests" / "validation" / "import" / "samples" / name;
}

inline std::filesystem::path written(const std::string& name, const std::string& text) {
  static const TemporaryFolder folder;
  const std::filesystem::path path = folder.file(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace attnsim::test
