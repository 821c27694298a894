// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/trace_file.h"

#include <unistd.h>

#include <cstdio>

#include "sim/core/error.h"

namespace attnsim {

TraceFile::TraceFile(std::string path)
    : path_(std::move(path)), partial_(path_ + "." + std::to_string(getpid()) + ".part"), stream_(partial_, std::ios::binary) {
  if (!stream_) throw ConfigError(ConfigIssue{path_, "", "", "can't be written", "a file in an existing folder", ""});
}

TraceFile::~TraceFile() {
  if (committed_) return;
  stream_.close();
  std::remove(partial_.c_str());
}

void TraceFile::commit() {
  stream_.close();
  if (!stream_ || std::rename(partial_.c_str(), path_.c_str()) != 0) {
    throw ConfigError(ConfigIssue{path_, "", "", "can't be written to its end (disk full?)", "", ""});
  }
  committed_ = true;
}

}  // namespace attnsim
