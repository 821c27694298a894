// SPDX-License-Identifier: Apache-2.0
#include "sim/core/output_file.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "sim/core/error.h"

namespace attnsim {
namespace {

// The place to write to until all is written.
std::string partial_name(const std::string& path) {
  std::error_code unknown;
  const std::filesystem::file_status status = std::filesystem::status(path, unknown);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) return path;
  return path + "." + std::to_string(getpid()) + ".part";
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  partial_ = partial_name(path_);
  stream_.open(partial_, std::ios::binary);
  if (!stream_) throw ConfigError(ConfigIssue{path_, "", "", "can't be written", "a file in an existing folder", ""});
  stream_.close();
  if (partial_ != path_) std::remove(partial_.c_str());
}

OutputFile::~OutputFile() {
  if (!stream_.is_open() || partial_ == path_) return;
  stream_.close();
  std::remove(partial_.c_str());
}

std::ostream& OutputFile::out() {
  if (!stream_.is_open()) stream_.open(partial_, std::ios::binary);
  return stream_;
}

void OutputFile::commit() {
  (void)out();
  stream_.close();
  if (!stream_ || (partial_ != path_ && std::rename(partial_.c_str(), path_.c_str()) != 0)) {
    if (partial_ != path_) std::remove(partial_.c_str());
    throw ConfigError(ConfigIssue{path_, "", "", "can't be written to its end (disk full?)", "", ""});
  }
}

void OutputFile::commit(const std::string& text) {
  out() << text;
  commit();
}

}  // namespace attnsim
