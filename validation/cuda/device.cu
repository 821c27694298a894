// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
#include <algorithm>

#include "validation/cuda/device.h"
#include "validation/cuda/element.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256;

ATTNSIM_D std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

template <class E>
__global__ void fill_kernel(E* to, std::size_t count, std::uint64_t seed) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * kThreads;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const std::uint64_t bits = mixed(mixed(seed) + i);
    const float u = (static_cast<float>(bits >> 40) + 0.5F) * 0x1p-24F;
    const float angle = static_cast<float>(bits & 0xffffffU) * 0x1p-24F * 2.0F;
    to[i] = from_float<E>(sqrtf(-2.0F * logf(u)) * cospif(angle));
  }
}

__global__ void stamp_kernel(ClockStamp* stamps) {
  if (threadIdx.x != 0) return;
  std::uint32_t sm;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  std::int64_t cycles, nanoseconds;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(cycles)::"memory");
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds)::"memory");
  stamps[sm] = {cycles, nanoseconds};
}

}  // namespace

void fill_normal(const Buffer& buffer, std::size_t count, bool bf16, std::uint64_t seed, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(std::min<std::size_t>((count + kThreads - 1) / kThreads, 4096));
  if (blocks == 0) return;
  if (bf16) {
    fill_kernel<<<blocks, kThreads, 0, stream>>>(buffer.get<Bf16>(), count, seed);
  } else {
    fill_kernel<<<blocks, kThreads, 0, stream>>>(buffer.get<F16>(), count, seed);
  }
  check(cudaGetLastError(), "random inputs");
}

ClockStamps::ClockStamps(int sms) : sms_(sms), before_(sizeof(ClockStamp) * 1024), after_(sizeof(ClockStamp) * 1024) {
  before_.fill(0);
  after_.fill(0);
}
void ClockStamps::before(cudaStream_t stream) const {
  stamp_kernel<<<static_cast<unsigned>(2 * sms_), 32, 0, stream>>>(before_.get<ClockStamp>());
}
void ClockStamps::after(cudaStream_t stream) const {
  stamp_kernel<<<static_cast<unsigned>(2 * sms_), 32, 0, stream>>>(after_.get<ClockStamp>());
}
double ClockStamps::megahertz() const {
  const std::vector<ClockStamp> first = before_.values<ClockStamp>();
  const std::vector<ClockStamp> last = after_.values<ClockStamp>();
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const std::int64_t ns = last[i].nanoseconds - first[i].nanoseconds;
    if (first[i].nanoseconds == 0 || last[i].nanoseconds == 0 || ns <= 0) continue;
    sum += 1e3 * static_cast<double>(last[i].cycles - first[i].cycles) / static_cast<double>(ns);
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace attnsim::cuda
