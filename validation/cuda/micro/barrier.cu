// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
// Barriers: the CTA's over its warps, and an mbarrier from arrival to wake-up between two warps.
#include "validation/cuda/micro/cycles.cuh"
#include "validation/cuda/ptx_hopper.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 256;

__global__ void __launch_bounds__(1024) block_kernel(std::int64_t* result) {
  sync_block();
  const std::int64_t begin = read_clock();
  for (int t = 0; t < kTrips; ++t) sync_block();
  const std::int64_t end = read_clock();
  if (threadIdx.x == 0) result[0] = end - begin;
}

// Two warps hand a turn to and fro: two arrivals and two wake-ups per trip.
__global__ void __launch_bounds__(64) mbarrier_kernel(std::int64_t* result) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  const std::uint32_t barriers = shared_address(shared_memory());
  if (threadIdx.x == 0) {
    mbarrier_init(barriers, 1);
    mbarrier_init(barriers + 8, 1);
    fence_barrier_init();
  }
  sync_block();
  const std::uint32_t warp = threadIdx.x / 32;
  const std::int64_t begin = read_clock();
  for (unsigned t = 0; t < kTrips; ++t) {
    if (warp == 1) mbarrier_wait(barriers, t & 1U);
    if (threadIdx.x % 32 == 0) mbarrier_arrive(barriers + 8 * warp);
    if (warp == 0) mbarrier_wait(barriers + 8, t & 1U);
  }
  const std::int64_t end = read_clock();
  if (threadIdx.x == 0) result[0] = end - begin;
#endif
}

}  // namespace

void micro_barrier(MicroRun& run) {
  for (const int warps : {1, 4, 8, 16, 32}) {
    run.report(warps == 4 ? "latency.barrier_cycles" : "", "cycles", "bar.sync of " + std::to_string(warps) + " warps",
               [=] { return cycles_of(block_kernel, 32 * warps, 0) / kTrips; });
  }
  if (run.machine.capability < 90) return;
  run.report("", "cycles", "mbarrier, arrival to wake-up", [] { return cycles_of(mbarrier_kernel, 64, 64) / (2 * kTrips); });
}

}  // namespace attnsim::cuda
