// SPDX-License-Identifier: Apache-2.0
// mbarrier, the copy engine (TMA), named barriers and register hand-over of sm_90.
#pragma once

#include "validation/cuda/swizzle.cuh"

#ifdef __CUDACC__
#include <cuda.h>
#else
#include <array>
#endif

namespace attnsim::cuda {

#ifdef __CUDACC__
using TensorMap = CUtensorMap;
#else
// What the emulated copy engine needs of a tensor map; sizes innermost first, strides in bytes of dimensions 1 and up.
struct TensorMap {
  const std::uint8_t* base = nullptr;
  int rank = 0;
  std::uint64_t size[5] = {};
  std::uint64_t stride[5] = {};
  std::uint32_t box[5] = {};
};
#endif

ATTNSIM_D void mbarrier_init(std::uint32_t barrier, int count) {
#ifdef __CUDACC__
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
#else
  emulate::mbarrier_init(barrier, count);
#endif
}
// Makes initialised barriers visible to the copy engine; then a CTA barrier.
ATTNSIM_D void fence_barrier_init() {
#ifdef __CUDACC__
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
// Ordinary writes to shared memory before it become visible to wgmma and the copy engine after it.
ATTNSIM_D void fence_async_proxy() {
#ifdef __CUDACC__
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
ATTNSIM_D void mbarrier_arrive(std::uint32_t barrier) {
#ifdef __CUDACC__
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#else
  emulate::mbarrier_arrive(barrier, 0);
#endif
}
ATTNSIM_D void mbarrier_arrive_expect(std::uint32_t barrier, int bytes) {
#ifdef __CUDACC__
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
#else
  emulate::mbarrier_arrive(barrier, bytes);
#endif
}
// Waits until the phase with this parity is complete: 0 for the first, then 1, 0, ...
ATTNSIM_D void mbarrier_wait(std::uint32_t barrier, unsigned parity) {
#ifdef __CUDACC__
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\n"
      "bra again;\n"
      "finished:\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
#else
  emulate::block_until([barrier, parity] { return emulate::mbarrier_passed(barrier, parity); });
#endif
}

// A box of the tensor to shared memory at `to` (1024-byte aligned, 128-byte swizzle); its bytes are reported to `barrier`. One thread
// calls. Coordinates innermost first; what lies outside the tensor arrives as zeros and counts as bytes.
ATTNSIM_D void tma_load_4d(std::uint32_t to, const TensorMap* map, std::uint32_t barrier, int c0, int c1, int c2, int c3) {
#ifdef __CUDACC__
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
               "l"(map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
#else
  const TensorMap m = *map;
  std::int64_t bytes = 2;
  for (int d = 0; d < m.rank; ++d) bytes *= m.box[d];
  std::uint8_t* target = emulate::shared_pointer(to, static_cast<std::size_t>(bytes));
  if (to % 1024 != 0) emulate::fail("a swizzled box must start at a multiple of 1024 bytes");
  const std::array<std::int64_t, 4> first{c0, c1, c2, c3};
  emulate::engine_copy(
      [m, first, target, bytes] {
        for (std::int64_t e = 0; e < bytes / 2; ++e) {
          std::int64_t left = e;
          bool inside = true;
          const std::uint8_t* from = m.base;
          for (int d = 0; d < m.rank; ++d) {
            const std::int64_t x = first.at(d) + left % m.box[d];
            left /= m.box[d];
            inside = inside && x >= 0 && x < static_cast<std::int64_t>(m.size[d]);
            from += x * static_cast<std::int64_t>(d == 0 ? 2 : m.stride[d]);
          }
          std::uint8_t* element = target + swizzle128(static_cast<std::uint32_t>(e * 2));
          if (inside) {
            std::memcpy(element, from, 2);
          } else {
            std::memset(element, 0, 2);
          }
        }
      },
      barrier, bytes);
#endif
}
ATTNSIM_D void tma_prefetch_map(const TensorMap* map) {
#ifdef __CUDACC__
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#else
  static_cast<void>(map);
#endif
}

// Named barrier 1 .. 15: waits for `threads` arrivals, or only arrives.
ATTNSIM_D void named_barrier_sync(int id, int threads) {
#ifdef __CUDACC__
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  emulate::barrier(id, threads, true);
#endif
}
ATTNSIM_D void named_barrier_arrive(int id, int threads) {
#ifdef __CUDACC__
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  emulate::barrier(id, threads, false);
#endif
}

template <int kRegisters>
ATTNSIM_D void give_registers() {
#ifdef __CUDACC__
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
ATTNSIM_D void take_registers() {
#ifdef __CUDACC__
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

}  // namespace attnsim::cuda
