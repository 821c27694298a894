// SPDX-License-Identifier: Apache-2.0
#include "validation/host/pool.h"

#include <chrono>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace attnsim::host {

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Until `value` differs from `old`: spins, then sleeps.
void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double, std::micro> limit(kSpinMicroseconds);
  while (std::chrono::steady_clock::now() - start < limit) {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause_briefly();
    }
  }
  value.wait(old, std::memory_order_acquire);
}

// Subnormal numbers read and leave as zero in this scope, as in GPU kernels: weights of masked keys are about 2^-126, and a processor that
// takes an assist for each product with them spends ten times as long on windows as on all keys.
class FlushesSubnormals {
 public:
#if defined(__SSE2__)
  FlushesSubnormals() : before_(_mm_getcsr()) {
    _mm_setcsr(before_ | kFlushToZero | kSubnormalsAreZero);
  }
  ~FlushesSubnormals() {
    _mm_setcsr(before_);
  }
  FlushesSubnormals(const FlushesSubnormals&) = delete;
  FlushesSubnormals& operator=(const FlushesSubnormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kSubnormalsAreZero = 0x0040;
  unsigned before_;
#endif
};

}  // namespace

Pool::Pool(int threads) {
  for (int worker = 1; worker < threads; ++worker) threads_.emplace_back([this, worker] { work(worker); });
}

Pool::~Pool() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(const std::function<void(int)>& body) {
  body_ = &body;
  busy_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  {
    [[maybe_unused]] const FlushesSubnormals scope;
    body(0);
  }
  for (std::uint32_t left = busy_.load(std::memory_order_acquire); left != 0; left = busy_.load(std::memory_order_acquire))
    wait_for_change(busy_, left);
}

void Pool::work(int worker) {
  [[maybe_unused]] const FlushesSubnormals scope;
  std::uint32_t seen = 0;
  while (true) {
    wait_for_change(round_, seen);
    ++seen;
    if (stop_) return;
    (*body_)(worker);
    busy_.fetch_sub(1, std::memory_order_acq_rel);
    busy_.notify_one();
  }
}

}  // namespace attnsim::host
