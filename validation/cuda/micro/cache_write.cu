// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// The pattern of a KV-cache write: one CTA per token copies its K and V rows to the token's slot of a paged cache.
#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

namespace {

constexpr int kRowBytes = 8 * 128 * 2;  // 8 KV heads of 128

__global__ void __launch_bounds__(128)
    write_kernel(const uint4* k, const uint4* v, uint4* k_cache, uint4* v_cache, const std::int64_t* slots) {
  const std::int64_t from = static_cast<std::int64_t>(blockIdx.x) * (kRowBytes / 16) + threadIdx.x;
  const std::int64_t to = slots[blockIdx.x] * (kRowBytes / 16) + threadIdx.x;
  k_cache[to] = k[from];
  v_cache[to] = v[from];
}

}  // namespace

void micro_cache_write(MicroRun& run) {
  constexpr int kMost = 65536;
  const Buffer k(std::size_t{kMost} * kRowBytes), v(k.bytes()), k_cache(k.bytes()), v_cache(k.bytes());
  std::vector<std::int64_t> slots;
  for (std::int64_t i = 0; i < kMost; ++i) slots.push_back(i * 40503 % kMost);
  const Buffer where = Buffer::of(slots);
  k.fill(1);
  v.fill(1);
  for (const int tokens : {16, 128, 1024, 4096, 16384, 65536}) {
    run.report("", "us", std::to_string(tokens) + " tokens, one CTA of 128 threads each, 4 KiB read and 4 KiB written", [&] {
      return MicroRun::microseconds([&] {
        write_kernel<<<static_cast<unsigned>(tokens), 128>>>(k.get<uint4>(), v.get<uint4>(), k_cache.get<uint4>(), v_cache.get<uint4>(),
                                                             where.get<std::int64_t>());
      });
    });
  }
}

}  // namespace attnsim::cuda
