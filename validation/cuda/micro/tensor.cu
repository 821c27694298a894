// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
// Rate and latency of mma.sync m16n8k16 and of wgmma m64nNk16, f16 and bf16.
#include "validation/cuda/micro/cycles.cuh"
#include "validation/cuda/ptx_mma.cuh"
#include "validation/cuda/ptx_wgmma.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 128;

template <class E, int kChains>
__global__ void __launch_bounds__(512) mma_kernel(std::int64_t* result) {
  const std::uint32_t a[4] = {threadIdx.x, 1, 2, 3}, b[2] = {threadIdx.x, 5};
  float d[kChains][4] = {};
  sync_block();
  const std::int64_t begin = read_clock();
  for (int t = 0; t < kTrips; ++t) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) mma_16x8x16<E>(d[i], a, b);
  }
  sync_block();
  const std::int64_t end = read_clock();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += d[i][0];
  if (sum == 12345.0F) result[4] = 1;
  if (threadIdx.x == 0) result[0] = end - begin;
}

// kDeep: products per wait.
template <class E, int N, bool kRegisters, int kDeep>
__global__ void __launch_bounds__(256, 1) wgmma_kernel(std::int64_t* result) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  const std::uint32_t a = shared_address(shared_memory()), b = a + 16384;
  const std::uint32_t registers[4] = {threadIdx.x, 1, 2, 3};
  float d[N / 8][4] = {};
  sync_block();
  const std::int64_t begin = read_clock();
  for (int t = 0; t < kTrips; ++t) {
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDeep; ++k) {
      if constexpr (kRegisters) {
        wgmma_rs<E, N, false>(d, registers, k_major(b, 256, k % 4), true);
      } else {
        wgmma_ss<E, N, false>(d, k_major(a, 128, k % 4), k_major(b, 256, k % 4), true);
      }
    }
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_keep(d);
  }
  sync_block();
  const std::int64_t end = read_clock();
  if (d[0][0] == 12345.0F) result[4] = 1;
  if (threadIdx.x == 0) result[0] = end - begin;
#endif
}

template <class E>
void mma(MicroRun& run, const char* dtype, const char* figure) {
  for (const int warps : {4, 8, 16}) {
    run.report(warps == 8 ? figure : "", "flop per clock and SM",
               std::string("mma.sync m16n8k16 ") + dtype + ", " + std::to_string(warps) + " warps",
               [=] { return 4096.0 * kTrips * 8 * warps / cycles_of(mma_kernel<E, 8>, 32 * warps, 0); });
  }
  run.report("latency.mma_sync_cycles", "cycles", std::string("mma.sync m16n8k16 ") + dtype + ", dependent, one warp",
             [] { return cycles_of(mma_kernel<E, 1>, 32, 0) / kTrips; });
}

template <class E, int N, bool kRegisters>
void wgmma(MicroRun& run, const char* name, const char* figure) {
  const std::string what = std::string("wgmma m64n") + std::to_string(N) + "k16 " + name;
  for (const int groups : {1, 2}) {
    run.report(groups == 2 ? figure : "", "flop per clock and SM", what + ", " + std::to_string(groups) + " warpgroups", [=] {
      return 2.0 * 64 * N * 16 * kTrips * 16 * groups / cycles_of(wgmma_kernel<E, N, kRegisters, 16>, 128 * groups, 64 * 1024);
    });
  }
  run.report("", "cycles", what + ", one at a time", [] { return cycles_of(wgmma_kernel<E, N, kRegisters, 1>, 128, 64 * 1024) / kTrips; });
}

}  // namespace

void micro_tensor(MicroRun& run) {
  const bool hopper = run.machine.capability == 90;
  mma<Bf16>(run, "bf16", hopper ? "" : "tensor.flop_per_clk_per_sm.bf16");
  mma<F16>(run, "f16", hopper ? "" : "tensor.flop_per_clk_per_sm.f16");
  // Rates of a loop: nothing of them is left to lose.
  run.report("tensor.efficiency", "", "flop_per_clk_per_sm is what a loop reaches", [] { return 1.0; });
  if (!hopper) return;
  wgmma<Bf16, 64, false>(run, "bf16, A in shared memory", "");
  wgmma<Bf16, 128, false>(run, "bf16, A in shared memory", "");
  wgmma<Bf16, 256, false>(run, "bf16, A in shared memory", "tensor.flop_per_clk_per_sm.bf16");
  wgmma<Bf16, 64, true>(run, "bf16, A in registers", "");
  wgmma<Bf16, 128, true>(run, "bf16, A in registers", "");
  wgmma<F16, 256, false>(run, "f16, A in shared memory", "tensor.flop_per_clk_per_sm.f16");
}

}  // namespace attnsim::cuda
