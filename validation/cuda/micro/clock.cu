// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// The SM clock under tensor load, from the first launch to the power limit: a kernel of back-to-back mma.sync (or the Hopper forward
// kernel, which draws what attention draws) for a while, its clock stamped in slices.
#include <chrono>

#include "validation/cuda/micro/micro.h"
#include "validation/cuda/ptx_mma.cuh"

namespace attnsim::cuda {

namespace {

__global__ void __launch_bounds__(256) burn_kernel(int trips, float* out) {
  const std::uint32_t seed = threadIdx.x * 2654435761U + blockIdx.x;
  const std::uint32_t a[4] = {seed & 0x3fff3fffU, seed >> 3 & 0x3fff3fffU, seed * 3 & 0x3fff3fffU, seed * 5 & 0x3fff3fffU};
  const std::uint32_t b[2] = {seed * 7 & 0x3fff3fffU, seed * 11 & 0x3fff3fffU};
  float d[8][4] = {};
  for (int t = 0; t < trips; ++t) {
#pragma unroll
    for (int i = 0; i < 8; ++i) mma_16x8x16<Bf16>(d[i], a, b);
  }
  if (d[0][0] == 12345.0F) *out = d[1][1];
}

void slices(MicroRun& run, const std::string& what, const std::function<void()>& slice) {
  const ClockStamps stamps(run.machine.sms);
  check(cudaDeviceSynchronize(), "clock");
  const auto start = std::chrono::steady_clock::now();
  double next = 0;
  for (const double until : {0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 4.0}) {
    while (next < until) {
      slice();
      check(cudaDeviceSynchronize(), "clock");
      next = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    run.report("", "MHz", what + ", after " + std::to_string(until) + " s", [&] {
      stamps.before(nullptr);
      slice();
      stamps.after(nullptr);
      check(cudaDeviceSynchronize(), "clock");
      return stamps.megahertz();
    });
  }
}

}  // namespace

void micro_clock(MicroRun& run) {
  const Buffer out(4);
  const auto ctas = static_cast<unsigned>(2 * run.machine.sms);
  slices(run, "mma.sync on all SMs", [&] { burn_kernel<<<ctas, 256>>>(20000, out.get<float>()); });
  if (run.machine.capability != 90) return;
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.info.name != "fa3-wgmma") continue;
    bench::Shape shape;
    shape.batch = 2;
    shape.q_heads = shape.kv_heads = 16;
    shape.q_len = shape.kv_len = 8192;
    Problem problem(shape, false, 1, 3);
    entry.prepare(problem, run.machine);
    slices(run, "fa3-wgmma, d 128, 8192 tokens", [&] { check(problem.sets.front().launch(nullptr), "fa3-wgmma"); });
  }
}

}  // namespace attnsim::cuda
