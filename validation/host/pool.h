// SPDX-License-Identifier: Apache-2.0
// Threads that stay and wait, as a device does. run() wakes them, takes part itself as worker 0, and returns when all are done:
//   pool.run([&](int worker) { ... });
// A waiting thread spins for kSpinMicroseconds and then sleeps, so calls that follow one another closely cost no system call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace attnsim::host {

class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(threads_.size()) + 1; }
  void run(const std::function<void(int)>& body);

 private:
  void work(int worker);

  std::vector<std::thread> threads_;
  const std::function<void(int)>* body_ = nullptr;
  std::atomic<std::uint32_t> round_{0};  // a new value starts a run
  std::atomic<std::uint32_t> busy_{0};   // workers of this run that are not done
  std::atomic<bool> stop_{false};
};
inline constexpr double kSpinMicroseconds = 50;

// Items 0 .. count - 1 drawn from one counter, as persistent_dynamic grids do.
class Counter {
 public:
  explicit Counter(std::int64_t count) : count_(count) {}
  // The next item; -1 when none is left.
  [[nodiscard]] std::int64_t draw() {
    const std::int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
    return item < count_ ? item : -1;
  }

 private:
  std::atomic<std::int64_t> next_{0};
  std::int64_t count_;
};

}  // namespace attnsim::host
