// SPDX-License-Identifier: Apache-2.0
// Work on indices 0 .. count - 1 by several threads. Every index runs, also after a failure; then the failure of the smallest
// index is thrown, so that what a user sees does not depend on the number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace attnsim {

template <class Body>
void parallel_for(std::size_t count, int threads, Body body) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(count);
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> pool;
  const std::size_t helpers = std::min(count, static_cast<std::size_t>(std::max(1, threads)));
  for (std::size_t t = 1; t < helpers; ++t) pool.emplace_back(work);
  work();
  pool.clear();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace attnsim
