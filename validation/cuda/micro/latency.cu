// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Dependent loads: a pointer chase in strides of a cache line, from L2 (near and far partition: the fastest and the slowest lines) and HBM.
#include <algorithm>

#include "validation/cuda/micro/cycles.cuh"

namespace attnsim::cuda {

namespace {

__global__ void fill_chain(std::int64_t* data, std::int64_t count, std::int64_t step) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) data[i * 16] = (i + step) % count;
}

__global__ void chase_kernel(std::int64_t* result, const std::int64_t* data, int hops, std::int64_t start) {
  std::int64_t at = start;
  const std::int64_t begin = read_clock();
  for (int h = 0; h < hops; ++h) asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(at) : "l"(data + at * 16) : "memory");
  const std::int64_t end = read_clock();
  result[0] = end - begin;
  result[1] = at;
}

// Every line timed by itself, hot in L2.
__global__ void lines_kernel(std::int64_t* result, const std::int64_t* data, std::int64_t* cycles, int lines) {
  for (int round = 0; round < 2; ++round) {
    for (int l = 0; l < lines; ++l) {
      std::int64_t value;
      const std::int64_t begin = read_clock();
      asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(value) : "l"(data + l * 16) : "memory");
      result[1] = value;  // waits for the load
      const std::int64_t end = read_clock();
      cycles[l] = end - begin + (value & 0);
    }
  }
  result[0] = 0;
}

}  // namespace

void micro_latency(MicroRun& run) {
  const Buffer data(std::size_t{512} << 20);
  const auto chain = [&](std::int64_t bytes, std::int64_t step) {
    const std::int64_t count = bytes / 128;
    fill_chain<<<static_cast<unsigned>((count + 255) / 256), 256>>>(data.get<std::int64_t>(), count, step);
    check(cudaDeviceSynchronize(), "chain");
  };
  for (const int mib : {1, 4, 16, 32}) {
    chain(static_cast<std::int64_t>(mib) << 20, 17);
    const int hops = mib * 8192;
    run.report("", "cycles", "chase over " + std::to_string(mib) + " MiB, hot in L2",
               [&] { return cycles_of(chase_kernel, 1, 0, data.get<std::int64_t>(), hops, std::int64_t{0}) / hops; });
  }
  chain(std::int64_t{512} << 20, 1021);
  std::int64_t start = 0;
  run.report("", "cycles", "chase over 512 MiB", [&] {
    start += 40961;
    return cycles_of(chase_kernel, 1, 0, data.get<std::int64_t>(), 4096, start % 4000000) / 4096;
  });
  constexpr int kLines = 4096;
  const Buffer lines(kLines * sizeof(std::int64_t));
  const auto percentile = [&](double part) {
    cycles_of(lines_kernel, 1, 0, data.get<std::int64_t>(), lines.get<std::int64_t>(), kLines);
    std::vector<std::int64_t> v = lines.values<std::int64_t>();
    std::sort(v.begin(), v.end());
    return static_cast<double>(v[static_cast<std::size_t>(part * (kLines - 1))]);
  };
  run.report("", "cycles", "L2 line, 5th percentile (near)", [&] { return percentile(0.05); });
  run.report("", "cycles", "L2 line, 95th percentile (far)", [&] { return percentile(0.95); });
}

}  // namespace attnsim::cuda
