// SPDX-License-Identifier: Apache-2.0
// A shape with its inputs on the device, in as many rotating sets as wanted, and a kernel made ready for it.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "validation/bench/backend.h"
#include "validation/cuda/device.h"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/reference.cuh"

namespace attnsim::cuda {

struct Machine {
  int device = 0;
  int sms = 0;
  int capability = 0;  // 80, 90
  std::size_t l2_bytes = 0;
  std::size_t memory_bytes = 0;
  double clock_mhz = 0;
  std::string name, driver;
};

struct InputSet {
  AttentionArgs args;                    // plain layout; of a product: q = A, k = B, o = C
  std::function<Status(Stream)> before;  // once after the inputs are there; may be empty
  std::function<Status(Stream)> launch;  // what is timed
  std::function<Status(Stream)> after;   // before the output is read; may be empty
};

struct Problem {
  bench::Shape shape;
  Dtype dtype = Dtype::bf16;
  KeepRule rule;
  std::deque<Buffer> buffers;
  std::vector<InputSet> sets;

  // Allocates and fills `count` sets of plain inputs; outputs are poisoned (NaN).
  Problem(const bench::Shape& s, bool product, int count, std::uint64_t seed);
  void* keep(Buffer b);
  void* allocate(std::size_t bytes, int fill = 0xff);
};

struct KernelEntry {
  bench::KernelInfo info;
  // Empty, or why not; common refusals (sizes, heads) have been made.
  std::string (*refuses)(const bench::Shape&, const Machine&);
  void (*prepare)(Problem&, const Machine&);
  bool product = false;  // C = A B instead of attention
};
[[nodiscard]] const std::vector<KernelEntry>& kernel_table();

[[nodiscard]] std::size_t input_bytes(const bench::Shape& s, bool product);

}  // namespace attnsim::cuda
