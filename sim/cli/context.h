// SPDX-License-Identifier: Apache-2.0
// What a command is told by the options that all commands share, and where it writes.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

namespace attnsim::cli {

struct Context {
  Context(std::ostream& text, std::ostream& messages) : out(text), err(messages) {}

  std::ostream& out;
  std::ostream& err;
  std::string command_line;
  bool json = false;
  bool quiet = false;
  std::string database;  // --db
  int jobs = 0;          // --jobs, 0: all cores
  std::function<void()> action;
  int exit_code = 0;  // of an action that ends well and has something to tell by it

  [[nodiscard]] int threads() const;
};

}  // namespace attnsim::cli
