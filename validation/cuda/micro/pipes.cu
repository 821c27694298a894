// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Rates and dependent latencies of single instructions: FFMA, integer add, FMNMX, packed convert, ex2, shuffle.
#include "validation/cuda/micro/cycles.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 256;
enum class Op { fma, integer, maximum, convert, ex2, shuffle };

template <Op kOp>
ATTNSIM_D void step(float& x) {
  if (kOp == Op::fma) asm volatile("fma.rn.f32 %0, %0, %0, %0;" : "+f"(x));
  if (kOp == Op::integer) asm volatile("{.reg .b32 t; mov.b32 t, %0; add.s32 t, t, 7; mov.b32 %0, t;}" : "+f"(x));
  if (kOp == Op::maximum) asm volatile("max.f32 %0, %0, 0f3F800000;" : "+f"(x));
  if (kOp == Op::convert) asm volatile("{.reg .b32 t; cvt.rn.bf16x2.f32 t, %0, %0; mov.b32 %0, t;}" : "+f"(x));
  if (kOp == Op::ex2) asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
  if (kOp == Op::shuffle) x = shuffle_xor(x, 1);
}

template <Op kOp, int kChains>
__global__ void __launch_bounds__(1024) pipe_kernel(std::int64_t* result) {
  float x[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) x[i] = static_cast<float>(threadIdx.x) + static_cast<float>(i);
  sync_block();
  const std::int64_t begin = read_clock();
  for (int t = 0; t < kTrips; ++t) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) step<kOp>(x[i]);
  }
  sync_block();
  const std::int64_t end = read_clock();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += x[i];
  if (sum == 12345.0F) result[4] = 1;
  if (threadIdx.x == 0) result[0] = end - begin;
}

template <Op kOp>
void measure(MicroRun& run, const char* name, const char* rate, const char* latency) {
  constexpr int kChains = 8, kWarps = 16;
  run.report(rate, "lanes per clock and SM", std::string(name) + ", 16 warps",
             [] { return 32.0 * kTrips * kChains * kWarps / cycles_of(pipe_kernel<kOp, kChains>, 32 * kWarps, 0); });
  run.report(latency, "cycles", std::string(name) + ", dependent, one warp", [] { return cycles_of(pipe_kernel<kOp, 1>, 32, 0) / kTrips; });
}

}  // namespace

void micro_pipes(MicroRun& run) {
  measure<Op::fma>(run, "FFMA", "sm.fp32_lanes", "latency.fp32_cycles");
  measure<Op::integer>(run, "IADD", "", "latency.alu_cycles");
  measure<Op::maximum>(run, "FMNMX", "sm.alu_lanes", "");
  measure<Op::convert>(run, "F2FP bf16x2", "", "");
  measure<Op::ex2>(run, "ex2", "", "latency.sfu_cycles");
  measure<Op::shuffle>(run, "shuffle", "", "latency.shuffle_cycles");
}

}  // namespace attnsim::cuda
