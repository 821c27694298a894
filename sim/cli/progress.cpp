// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/progress.h"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <ostream>

namespace attnsim::cli {

namespace {

using namespace std::chrono_literals;
constexpr auto kSilence = 2s;
constexpr auto kTerminalInterval = 500ms;
constexpr auto kFileInterval = 10s;

}  // namespace

Progress::Progress(std::ostream& err, bool quiet, std::string unit, std::size_t total)
    : err_(err), unit_(std::move(unit)), total_(total), terminal_(isatty(STDERR_FILENO) != 0) {
  if (!quiet) watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

Progress::~Progress() {
  if (watcher_.joinable()) {
    watcher_.request_stop();
    watcher_.join();
  }
  if (printed_ && terminal_) err_ << "\r\x1b[K" << std::flush;
}

void Progress::watch(const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  std::chrono::steady_clock::duration interval = kSilence;
  while (!wake.wait_for(lock, stop, interval, [] { return false; })) {
    if (stop.stop_requested()) return;
    print(std::chrono::steady_clock::now() - start);
    interval = terminal_ ? std::chrono::steady_clock::duration(kTerminalInterval) : kFileInterval;
  }
}

void Progress::print(std::chrono::steady_clock::duration elapsed) {
  printed_ = true;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  err_ << (terminal_ ? "\r\x1b[K" : "") << "attnsim: " << done_.load() << (total_ > 0 ? " of " + std::to_string(total_.load()) : "") << ' '
       << unit_ << ", " << seconds << " s" << (terminal_ ? "" : "\n") << std::flush;
}

}  // namespace attnsim::cli
