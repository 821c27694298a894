// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Shared memory: bandwidth of 16-byte loads and of ldmatrix over warps, dependent latency of a load and of ldmatrix.
#include "validation/cuda/micro/cycles.cuh"
#include "validation/cuda/ptx_mma.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 128, kFlight = 8;

template <bool kMatrix, bool kDependent>
__global__ void __launch_bounds__(1024) shared_kernel(std::int64_t* result) {
  const std::uint32_t base = shared_address(shared_memory());
  for (int i = static_cast<int>(threadIdx.x); i < 8192; i += static_cast<int>(blockDim.x))
    reinterpret_cast<std::uint32_t*>(shared_memory())[i] = 0;
  sync_block();
  const std::uint32_t mine = base + static_cast<std::uint32_t>(lane_index() * 16 + static_cast<int>(threadIdx.x) / 32 % 16 * 512);
  std::uint32_t offset = 0;
  const std::int64_t begin = read_clock();
  for (int t = 0; t < kTrips; ++t) {
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      const std::uint32_t at = mine + (kDependent ? offset : static_cast<std::uint32_t>(f * 1024));
      if constexpr (kMatrix) {
        std::uint32_t v[4];
        ldmatrix(v, at);
        offset = kDependent ? v[0] : offset ^ v[0] ^ v[1] ^ v[2] ^ v[3];
      } else {
        const uint4 v = load_shared_128(at);
        offset = kDependent ? v.x : offset ^ v.x ^ v.y ^ v.z ^ v.w;
      }
    }
  }
  sync_block();
  const std::int64_t end = read_clock();
  if (offset == 12345U) result[4] = 1;
  if (threadIdx.x == 0) result[0] = end - begin;
}

}  // namespace

void micro_shared(MicroRun& run) {
  for (const int warps : {1, 4, 8, 16, 32}) {
    const double bytes = 512.0 * kTrips * kFlight * warps;
    const std::string conditions = std::to_string(warps) + " warps";
    run.report("", "bytes per clock and SM", "16-byte loads, " + conditions,
               [=] { return bytes / cycles_of(shared_kernel<false, false>, 32 * warps, 40 * 1024); });
    run.report("", "bytes per clock and SM", "ldmatrix.x4, " + conditions,
               [=] { return bytes / cycles_of(shared_kernel<true, false>, 32 * warps, 40 * 1024); });
  }
  run.report("", "cycles", "16-byte load, dependent, one warp",
             [] { return cycles_of(shared_kernel<false, true>, 32, 40 * 1024) / (kTrips * kFlight); });
  run.report("latency.smem_cycles", "cycles", "ldmatrix.x4, dependent, one warp",
             [] { return cycles_of(shared_kernel<true, true>, 32, 40 * 1024) / (kTrips * kFlight); });
}

}  // namespace attnsim::cuda
