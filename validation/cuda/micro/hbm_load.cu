// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// HBM latency under load: one thread chases pointers through 512 MiB while other CTAs read as much as they can, by their number.
#include "validation/cuda/micro/cycles.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256, kFlight = 4, kHops = 2048;
constexpr std::int64_t kSettleNs = 30000;  // readers start before the chase does

struct Loaded {
  std::int64_t chase_ns = 0, all_ns = 0;
  unsigned long long bytes = 0;  // of the readers
  std::int64_t last = 0;
  int stop = 0;
};

__device__ std::int64_t nanoseconds() {
  std::int64_t ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

__global__ void fill_chain(std::int64_t* data, std::int64_t count, std::int64_t step) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) data[i * 16] = (i + step) % count;
}

// CTA 0 chases, the others read until it has ended.
__global__ void __launch_bounds__(kThreads)
    loaded_kernel(Loaded* result, const std::int64_t* chain, const uint4* stream, std::int64_t count, std::int64_t start) {
  if (blockIdx.x == 0) {
    if (threadIdx.x != 0) return;
    const std::int64_t first = nanoseconds();
    while (nanoseconds() - first < kSettleNs) {
    }
    std::int64_t at = start;
    const std::int64_t begin = nanoseconds();
    for (int h = 0; h < kHops; ++h) asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(at) : "l"(chain + at * 16) : "memory");
    result->last = at;  // waits for the last load
    result->chase_ns = nanoseconds() - begin + (at & 0);
    result->all_ns = nanoseconds() - first;
    atomicExch(&result->stop, 1);
    return;
  }
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x - 1) * kThreads;
  std::int64_t at = static_cast<std::int64_t>(blockIdx.x - 1) * kThreads + threadIdx.x;
  unsigned long long bytes = 0;
  unsigned kept = 0;
  while (*static_cast<volatile int*>(&result->stop) == 0) {
    uint4 values[kFlight];
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(values[f].x), "=r"(values[f].y), "=r"(values[f].z), "=r"(values[f].w)
                   : "l"(stream + at));
      at += step;
      if (at >= count) at -= count;
    }
#pragma unroll
    for (int f = 0; f < kFlight; ++f) kept ^= values[f].x ^ values[f].y ^ values[f].z ^ values[f].w;
    bytes += kFlight * sizeof(uint4);
  }
  if (kept == 12345U) bytes += 1;
  atomicAdd(&result->bytes, bytes);
}

}  // namespace

void micro_hbm_load(MicroRun& run) {
  const Buffer chain(std::size_t{512} << 20), stream(std::size_t{1} << 30), result(sizeof(Loaded));
  const auto lines = static_cast<std::int64_t>(chain.bytes() / 128);
  fill_chain<<<static_cast<unsigned>((lines + 255) / 256), 256>>>(chain.get<std::int64_t>(), lines, 40961);
  stream.fill(1);
  std::int64_t start = 0;
  Loaded last;
  const auto launch_with = [&](unsigned readers) {
    result.fill(0);
    start = (start + 7919) % lines;
    loaded_kernel<<<1 + readers, kThreads>>>(result.get<Loaded>(), chain.get<std::int64_t>(), stream.get<uint4>(),
                                             static_cast<std::int64_t>(stream.bytes() / 16), start);
    check(cudaDeviceSynchronize(), "loaded chase");
    last = result.values<Loaded>().front();
  };
  const auto sms = static_cast<unsigned>(run.machine.sms);
  for (const unsigned readers : {0U, sms / 8, sms / 4, sms / 2, sms, 2 * sms, 4 * sms}) {
    const std::string load = std::to_string(readers) + " reading CTAs of " + std::to_string(kThreads) + " threads, 64 B each in flight";
    run.report("", "ns", "chase over 512 MiB beside " + load, [&] {
      launch_with(readers);
      return static_cast<double>(last.chase_ns) / kHops;
    });
    run.report("", "GB/s", "read by " + load, [&] {
      launch_with(readers);
      return static_cast<double>(last.bytes) / static_cast<double>(last.all_ns);
    });
  }
}

}  // namespace attnsim::cuda
