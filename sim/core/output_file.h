// SPDX-License-Identifier: Apache-2.0
// A file that appears whole or not at all: written under another name beside its place, renamed by `commit`, removed without it.
// What is no regular file (/dev/stdout, a pipe) is written in its place.
#pragma once

#include <fstream>
#include <string>

namespace attnsim {

class OutputFile {
 public:
  // Tries at once whether it can be written, so that a long run is not lost to a mistyped folder, and leaves nothing there until
  // something is; throws ConfigError when it can't be. No file for "".
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  [[nodiscard]] explicit operator bool() const { return !path_.empty(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::ostream& out();
  void commit();                         // throws ConfigError when not every byte was written
  void commit(const std::string& text);  // all that the file holds

 private:
  std::string path_;
  std::string partial_;
  std::ofstream stream_;
};

}  // namespace attnsim
