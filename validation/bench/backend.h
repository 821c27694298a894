// SPDX-License-Identifier: Apache-2.0
// What attnsim-bench asks of a device: its kernels, a check of one against a double-precision reference, and its timing. A backend
// (host, cuda) is one implementation. Free of JSON, fmt and Boost, since CUDA sources include it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attnsim::bench {

// One attention problem: Q [batch, q_len, q_heads, head_dim], K and V [batch, kv_len, kv_heads, head_dim], row-major, or, of the gemm
// kernels, C [m x n] = A [m x k] B [k x n] with m = q_len, n = kv_len, k = head_dim.
struct Shape {
  std::int64_t batch = 1;
  std::int64_t q_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t q_len = 1;
  std::int64_t kv_len = 1;
  int head_dim = 128;
  std::string dtype = "bf16";  // bf16, f16, f32
  // Mask and its parameters; what a kernel does not know it refuses. "dense", "causal", "window" (left, right; bottom-right
  // aligned), "block-sparse" (density, seed; tiles of the kernel), "gna" (layout, window, stride, dilation; q_len = product of layout).
  std::string mask = "dense";
  std::int64_t left = -1;
  std::int64_t right = -1;
  double density = 1;
  std::uint64_t seed = 0;
  std::vector<std::int64_t> layout, window, stride, dilation;
  std::int64_t page = 0;  // tokens per page of a paged KV cache; 0: contiguous
  bool backward = false;
};

struct KernelInfo {
  std::string name;         // e.g. "fa2-mma-d128", unique in its backend
  std::string description;  // one line
  std::string schedule;     // workloads/schedules/NAME.json, which describes exactly this kernel
  std::string source;       // files that hold it, relative to the repository, separated by spaces; their hash marks rows as stale
};

struct Device {
  std::string name;    // as the driver or the operating system tells
  std::string driver;  // driver and runtime versions, or compiler and instruction set
  std::string chip;    // attnsim's chip of this device, empty if none
  double clock_mhz = 0;
};

// Errors of the output against the reference, relative to the row's largest reference value: the worst row and the root of the mean
// square. `tolerance` follows from the data type and the number of summed keys; the check stands in `passed`.
struct Check {
  bool passed = false;
  double worst = 0;
  double rms = 0;
  double tolerance = 0;
  std::string note;
};

// When to stop: at least `min_samples` and until the relative standard error of the mean is below `noise`, or `seconds` are over.
struct TimingPolicy {
  int min_samples = 10;
  int max_samples = 200;
  double noise = 0.005;
  double seconds = 2;
  bool cold_l2 = false;  // the cache is overwritten before each sample; else inputs rotate only as far as they stay warm
};

// What a kernel did in one launch: counted by a build of it that counts, or by a profiler. Names are those of metrics() or counters()
// (sim/result/result.h) where one of them means the same, so that predictions stand beside them.
struct Counter {
  std::string name;  // "tensor_flops", "exp_count", "l2_bytes" (tensors' bytes read and written), "kv_tiles", "mma_instructions", ...
  double value = 0;
};

struct Timing {
  std::vector<double> sample_us;  // throttled samples left out
  int throttled = 0;              // samples dropped because the clock fell by more than 5 % from the run's median
  double clock_mhz = 0;           // of the timed region, read in the kernel (cycle counter over a global timer); 0 if unknown
  double kernel_cycles = 0;       // cycles of the timed region by the same counter; 0 if unknown
  std::vector<Counter> counters;  // from a launch of its own: the samples are of the kernel that does not count
};

// One physical figure: the figure of the chip that it sets (dotted path, hwmodels/figures.h; or empty), and mean with the half width of its
// 95 % confidence interval. `conditions` says what was varied ("working set 4 MiB").
struct Microbenchmark {
  std::string name;
  std::string figure;
  std::string unit;
  std::string conditions;
  double value = 0;
  double half_width = 0;
  int samples = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual Device device() = 0;
  [[nodiscard]] virtual std::vector<KernelInfo> kernels() const = 0;
  // Empty if the kernel runs this shape, else why not.
  [[nodiscard]] virtual std::string refuses(const std::string& kernel, const Shape& shape) const = 0;
  // Fresh random inputs from `seed`, poisoned output, then the comparison.
  [[nodiscard]] virtual Check check(const std::string& kernel, const Shape& shape, std::uint64_t seed) = 0;
  [[nodiscard]] virtual Timing time(const std::string& kernel, const Shape& shape, const TimingPolicy& policy) = 0;
  // All, or those whose name begins with `only`.
  [[nodiscard]] virtual std::vector<Microbenchmark> microbenchmarks(const std::string& only, double seconds_each) = 0;
};

// nullptr with the reason where there is no such device. `make_cuda_backend` exists only where nvcc was found.
[[nodiscard]] std::unique_ptr<Backend> make_host_backend(int threads, std::string& why_not);
[[nodiscard]] std::unique_ptr<Backend> make_cuda_backend(int device, std::string& why_not);

}  // namespace attnsim::bench
