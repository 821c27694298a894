// SPDX-License-Identifier: Apache-2.0
// Runs the built attnsim as a user does: through a shell, with stdout and stderr apart.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace attnsim::test {

struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// A folder of its own that is removed with the object.
class Workspace {
 public:
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return folder_.file(name); }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;  // the file's path
  [[nodiscard]] Finished attnsim(const std::string& arguments) const;                       // runs in the folder

 private:
  TemporaryFolder folder_;
};

// Started in the background; killed with SIGKILL.
[[nodiscard]] pid_t start_attnsim(const std::vector<std::string>& arguments);
void kill_hard(pid_t process);

[[nodiscard]] std::string read_text(const std::filesystem::path& file);
[[nodiscard]] std::filesystem::path shipped(const std::string& path);  // in the source tree

}  // namespace attnsim::test
