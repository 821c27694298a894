// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// L2 read bandwidth over the working set: every SM reads all of it, again and again, past its L1.
#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 512, kFlight = 8;

__global__ void __launch_bounds__(kThreads) read_kernel(const uint4* from, std::int64_t count, int rounds, int* out) {
  std::uint32_t kept = 0;
  const std::int64_t chunk = kThreads * kFlight;
  const std::int64_t chunks = count / chunk;
  for (std::int64_t i = 0; i < rounds * chunks; ++i) {
    const std::int64_t at = ((i + blockIdx.x * chunks / gridDim.x) % chunks) * chunk + threadIdx.x;  // SMs start apart
    uint4 v[kFlight];
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(v[f].x), "=r"(v[f].y), "=r"(v[f].z), "=r"(v[f].w)
                   : "l"(from + at + f * kThreads));
    }
#pragma unroll
    for (int f = 0; f < kFlight; ++f) kept ^= v[f].x ^ v[f].y ^ v[f].z ^ v[f].w;
  }
  if (kept == 12345U) *out = 1;
}

}  // namespace

void micro_l2(MicroRun& run) {
  const Buffer data(std::size_t{256} << 20), out(4);
  data.fill(1);
  const ClockStamps stamps(run.machine.sms);
  const auto ctas = static_cast<unsigned>(2 * run.machine.sms);
  for (const int mib : {1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96, 128, 256}) {
    const std::int64_t bytes = static_cast<std::int64_t>(mib) << 20;
    const auto rounds = static_cast<int>(1 + (std::int64_t{4} << 20) / bytes);
    run.report(mib == 8 ? "l2.bandwidth_bytes_per_clk" : "", "bytes per SM clock", "working set " + std::to_string(mib) + " MiB", [&] {
      stamps.before(nullptr);
      const double us =
          MicroRun::microseconds([&] { read_kernel<<<ctas, kThreads>>>(data.get<uint4>(), bytes / 16, rounds, out.get<int>()); });
      stamps.after(nullptr);
      check(cudaDeviceSynchronize(), "l2");
      return static_cast<double>(bytes) * rounds * ctas / (us * stamps.megahertz());
    });
  }
}

}  // namespace attnsim::cuda
