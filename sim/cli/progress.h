// SPDX-License-Identifier: Apache-2.0
// One progress line for what lasts longer than two seconds:
//   attnsim: 37 of 120 points, 14 s
// A total of 0 is not known and not shown. On a terminal the line is rewritten twice a second; elsewhere a line appears every ten seconds.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <thread>

namespace attnsim::cli {

class Progress {
 public:
  Progress(std::ostream& err, bool quiet, std::string unit, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void step() { ++done_; }
  void set(std::size_t done, std::size_t total) {
    done_ = done;
    total_ = total;
  }

 private:
  void watch(const std::stop_token& stop);
  void print(std::chrono::steady_clock::duration elapsed);

  std::ostream& err_;
  std::string unit_;
  std::atomic<std::size_t> total_;
  bool terminal_;
  bool printed_ = false;
  std::atomic<std::size_t> done_{0};
  std::jthread watcher_;  // last: starts when all else stands
};

}  // namespace attnsim::cli
