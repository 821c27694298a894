// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// HBM read, write and copy bandwidth against CTA count and 16-byte accesses in flight per thread.
#include <algorithm>

#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256;
enum class Way { read, write, copy };

template <Way kWay, int kFlight>
__global__ void __launch_bounds__(kThreads) stream_kernel(const uint4* from, uint4* to, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads * kFlight;
  uint4 kept{1, 2, 3, 4};
  for (std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kFlight) * kThreads + threadIdx.x; i + (kFlight - 1) * kThreads < count;
       i += step) {
    uint4 values[kFlight];
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      if (kWay != Way::write)
        asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(values[f].x), "=r"(values[f].y), "=r"(values[f].z), "=r"(values[f].w)
                     : "l"(from + i + f * kThreads));
    }
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      if (kWay == Way::read) kept.x ^= values[f].x ^ values[f].y ^ values[f].z ^ values[f].w;
      if (kWay == Way::write) to[i + f * kThreads] = kept;
      if (kWay == Way::copy) to[i + f * kThreads] = values[f];
    }
  }
  if (kWay == Way::read && kept.x == 12345U) to[0] = kept;
}

template <Way kWay, int kFlight>
void measure(MicroRun& run, const Buffer& from, const Buffer& to, const char* way, int ctas_per_sm) {
  const auto count = static_cast<std::int64_t>(from.bytes() / 16);
  const auto ctas = static_cast<unsigned>(ctas_per_sm * run.machine.sms);
  const double in_flight = static_cast<double>(ctas) * kThreads * kFlight * 16 / 1024;
  run.report(
      "", "GB/s",
      std::string(way) + ", " + std::to_string(ctas) + " CTAs, " + std::to_string(static_cast<int>(in_flight)) + " KiB in flight", [&] {
        const double us =
            MicroRun::microseconds([&] { stream_kernel<kWay, kFlight><<<ctas, kThreads>>>(from.get<uint4>(), to.get<uint4>(), count); });
        return static_cast<double>(from.bytes()) * (kWay == Way::copy ? 2 : 1) / us / 1e3;
      });
}

template <Way kWay>
void measure_all(MicroRun& run, const Buffer& from, const Buffer& to, const char* way) {
  for (const int ctas : {1, 2, 4, 8}) {
    measure<kWay, 1>(run, from, to, way, ctas);
    measure<kWay, 4>(run, from, to, way, ctas);
    measure<kWay, 8>(run, from, to, way, ctas);
  }
}

// The best of those whose conditions begin with `way`.
double best_of(const MicroRun& run, const std::string& way) {
  double best = 0;
  for (const bench::Microbenchmark& m : run.results)
    if (m.conditions.rfind(way, 0) == 0) best = std::max(best, m.value);
  return best;
}

}  // namespace

void micro_hbm(MicroRun& run) {
  const std::size_t bytes = std::size_t{1} << 30;
  const Buffer from(bytes), to(bytes);
  from.fill(1);
  measure_all<Way::read>(run, from, to, "read");
  measure_all<Way::write>(run, from, to, "write");
  measure_all<Way::copy>(run, from, to, "copy");
  const double read = best_of(run, "read"), copy = best_of(run, "copy");
  run.report("hbm.bandwidth_gb_per_s", "GB/s", "best read", [=] { return read; });
  run.report("hbm.efficiency", "", "bandwidth_gb_per_s is what reads reach", [] { return 1.0; });
  run.report("hbm.write_cost", "", "2 x read / copy - 1", [=] { return std::max(1.0, 2 * read / copy - 1); });
}

}  // namespace attnsim::cuda
