// SPDX-License-Identifier: Apache-2.0
// A file that appears whole or not at all: written under another name beside its place, renamed by `commit`, removed without it.
#pragma once

#include <fstream>
#include <string>

namespace attnsim {

class TraceFile {
 public:
  explicit TraceFile(std::string path);  // throws ConfigError when it can't be opened
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  [[nodiscard]] std::ostream& out() { return stream_; }
  void commit();  // throws ConfigError when not every byte was written

 private:
  std::string path_;
  std::string partial_;
  std::ofstream stream_;
  bool committed_ = false;
};

}  // namespace attnsim
