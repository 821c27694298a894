// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
// ex2 alone, with FFMA, with FFMA and FMNMX, for one to three warps per sub-partition, alone and while another warpgroup runs wgmma with
// its A operand in shared memory or in registers.
#include "validation/cuda/micro/cycles.cuh"
#include "validation/cuda/ptx_hopper.cuh"
#include "validation/cuda/ptx_wgmma.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 256, kChain = 16;  // independent values per thread
enum class Mix { ex2, ex2_fma, ex2_fma_max };
enum class Beside { nothing, wgmma_shared, wgmma_registers };

template <Mix kMix, Beside kBeside>
__global__ void __launch_bounds__(512, 1) exponential_kernel(std::int64_t* result, int vector_threads) {
  volatile int* done = reinterpret_cast<volatile int*>(shared_memory());
  if (threadIdx.x == 0) *done = 0;
  sync_block();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < vector_threads) {
    float x[kChain], top = 0;
#pragma unroll
    for (int i = 0; i < kChain; ++i) x[i] = -0.001F * static_cast<float>(thread + i);
    named_barrier_sync(1, vector_threads);
    const std::int64_t begin = read_clock();
    for (int t = 0; t < kTrips; ++t) {
#pragma unroll
      for (int i = 0; i < kChain; ++i) {
        if (kMix == Mix::ex2_fma_max) top = fmaxf(top, x[i]);
        if (kMix != Mix::ex2) x[i] = x[i] * 0.99F - 0.5F;
        x[i] = exp2_approx(x[i]);
      }
    }
    named_barrier_sync(1, vector_threads);
    const std::int64_t end = read_clock();
    float sum = top;
#pragma unroll
    for (int i = 0; i < kChain; ++i) sum += x[i];
    if (sum == 12345.0F) result[4] = 1;  // keeps the values alive
    if (thread == 0) {
      result[0] = end - begin;
      *done = 1;
    }
    return;
  }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (kBeside != Beside::nothing) {
    const std::uint32_t a = shared_address(shared_memory()) + 1024, b = a + 16384;
    const std::uint32_t registers[4] = {0, 0, 0, 0};
    float d[16][4] = {};
    std::int64_t count = 0;
    while (*done == 0) {
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if constexpr (kBeside == Beside::wgmma_shared) {
          wgmma_ss<Bf16, 128, false>(d, k_major(a, 128, k), k_major(b, 128, k), true);
        } else {
          wgmma_rs<Bf16, 128, false>(d, registers, k_major(b, 128, k), true);
        }
      }
      wgmma_commit();
      wgmma_wait<0>();
      wgmma_keep(d);
      count += 4;
    }
    if (d[0][0] == 12345.0F) result[4] = 1;
    if (thread == vector_threads) result[1] = count;
  }
#endif
}

template <Mix kMix, Beside kBeside>
void measure(MicroRun& run, const char* mix, const char* beside) {
  for (int warps = 1; warps <= 3; ++warps) {
    const int threads = 128 * warps + (kBeside == Beside::nothing ? 0 : 128);
    const std::string conditions = std::string(mix) + ", " + std::to_string(warps) + " warps per sub-partition, beside " + beside;
    run.report("", "cycles per warp-wide ex2 and sub-partition", conditions, [=] {
      return cycles_of(exponential_kernel<kMix, kBeside>, threads, 40 * 1024, 128 * warps) / (static_cast<double>(kTrips) * kChain * warps);
    });
  }
}

template <Beside kBeside>
void measure_all(MicroRun& run, const char* beside) {
  measure<Mix::ex2, kBeside>(run, "ex2", beside);
  measure<Mix::ex2_fma, kBeside>(run, "ex2 + FFMA", beside);
  measure<Mix::ex2_fma_max, kBeside>(run, "ex2 + FFMA + FMNMX", beside);
}

}  // namespace

void micro_exponential(MicroRun& run) {
  measure_all<Beside::nothing>(run, "nothing");
  run.report("sm.sfu_lanes", "ex2 per clock and SM", "8 warps",
             [] { return 32.0 * kTrips * kChain * 8 / cycles_of(exponential_kernel<Mix::ex2, Beside::nothing>, 256, 1024, 256); });
  if (run.machine.capability != 90) return;
  measure_all<Beside::wgmma_shared>(run, "wgmma m64n128k16, A in shared memory");
  measure_all<Beside::wgmma_registers>(run, "wgmma m64n128k16, A in registers");
}

}  // namespace attnsim::cuda
