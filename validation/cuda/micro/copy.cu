// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
// cp.async and the copy engine (bulk copies): latency of one copy of data in L2, and one SM's throughput over bytes in flight.
#include "validation/cuda/micro/cycles.cuh"
#include "validation/cuda/ptx_hopper.cuh"
#include "validation/cuda/ptx_mma.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTrips = 64;
constexpr int kWindow = 1 << 20;  // bytes of the source that stay in L2

template <int kFlight>
__global__ void __launch_bounds__(128) async_kernel(std::int64_t* result, const std::uint8_t* from, int threads) {
  const std::uint32_t to = shared_address(shared_memory()) + threadIdx.x * 16;
  sync_block();
  const std::int64_t begin = read_clock();
  int at = static_cast<int>(threadIdx.x) * 16;
  for (int t = 0; t < kTrips; ++t) {
#pragma unroll
    for (int f = 0; f < kFlight; ++f) {
      cp_async_16(to + static_cast<std::uint32_t>(f * threads * 16), from + at, true);
      at = (at + threads * 16) % kWindow;
    }
    cp_async_commit();
    cp_async_wait<0>();
  }
  sync_block();
  const std::int64_t end = read_clock();
  if (threadIdx.x == 0) result[0] = end - begin;
}

__global__ void __launch_bounds__(32) bulk_kernel(std::int64_t* result, const std::uint8_t* from, int bytes, int flight) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  const std::uint32_t base = shared_address(shared_memory());
  const std::uint32_t barrier = base;
  if (threadIdx.x != 0) return;
  mbarrier_init(barrier, 1);
  fence_barrier_init();
  const std::int64_t begin = read_clock();
  int at = 0;
  for (unsigned t = 0; t < kTrips; ++t) {
    mbarrier_arrive_expect(barrier, bytes * flight);
    for (int f = 0; f < flight; ++f) {
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                       base + 1024 + static_cast<std::uint32_t>(f * bytes)),
                   "l"(from + at), "r"(bytes), "r"(barrier)
                   : "memory");
      at = (at + bytes) % kWindow;
    }
    mbarrier_wait(barrier, t & 1U);
  }
  const std::int64_t end = read_clock();
  result[0] = end - begin;
#endif
}

}  // namespace

void micro_copy(MicroRun& run) {
  const Buffer data(kWindow + 65536);
  data.fill(1);
  const std::uint8_t* from = data.get<std::uint8_t>();
  run.report("", "cycles", "cp.async of 16 bytes, hot in L2, one at a time",
             [=] { return cycles_of(async_kernel<1>, 1, 40 * 1024, from, 1) / kTrips; });
  for (const int warps : {1, 2, 4}) {
    run.report("", "bytes per clock and SM", "cp.async, " + std::to_string(warps * 4) + " KiB in flight",
               [=] { return 32.0 * warps * 16 * 8 * kTrips / cycles_of(async_kernel<8>, 32 * warps, 40 * 1024, from, 32 * warps); });
  }
  if (run.machine.capability < 90) return;
  for (const int bytes : {128, 1024, 16384}) {
    run.report("", "cycles", "bulk copy of " + std::to_string(bytes) + " bytes, hot in L2, one at a time",
               [=] { return cycles_of(bulk_kernel, 32, 100 * 1024, from, bytes, 1) / kTrips; });
  }
  for (const int flight : {1, 2, 4, 8}) {
    run.report("", "bytes per clock and SM", "bulk copies, " + std::to_string(8 * flight) + " KiB in flight",
               [=] { return 8192.0 * flight * kTrips / cycles_of(bulk_kernel, 32, 100 * 1024, from, 8192, flight); });
  }
}

}  // namespace attnsim::cuda
