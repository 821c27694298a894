// SPDX-License-Identifier: Apache-2.0
// Where kernel source runs: on the GPU (nvcc), or thread by thread on the CPU (any other compiler; see emulate/emulate.h).
// Kernels use only what is named here and in the ptx_*.cuh wrappers, so that both compile the same text.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__

#define ATTNSIM_HD __host__ __device__ __forceinline__
#define ATTNSIM_D __device__ __forceinline__
#define ATTNSIM_SM90 (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)

namespace attnsim::cuda {

using Stream = cudaStream_t;

// Dynamic shared memory of the CTA, aligned to 1024 bytes (the period of the 128-byte swizzle).
ATTNSIM_D std::uint8_t* shared_memory() {
  extern __shared__ __align__(1024) std::uint8_t bytes[];
  return bytes;
}
ATTNSIM_D std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}
ATTNSIM_D void sync_block() {
  __syncthreads();
}
ATTNSIM_D void sync_warp() {
  __syncwarp();
}
ATTNSIM_D int lane_index() {
  return static_cast<int>(threadIdx.x & 31U);
}
ATTNSIM_D float shuffle_xor(float value, int mask) {
  return __shfl_xor_sync(0xffffffffU, value, mask);
}
ATTNSIM_D int broadcast_lane(int value, int lane) {
  return __shfl_sync(0xffffffffU, value, lane);
}
ATTNSIM_D void atomic_add(float* address, float value) {
  atomicAdd(address, value);
}
ATTNSIM_D int atomic_add(int* address, int value) {
  return atomicAdd(address, value);
}
ATTNSIM_D void atomic_add(long long* address, long long value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(address), static_cast<unsigned long long>(value));
}
ATTNSIM_D void fence_device() {
  __threadfence();
}
ATTNSIM_D float bits_as_float(std::uint32_t bits) {
  return __uint_as_float(bits);
}
// The same value, but what follows from it is computed here and not held in registers over the surrounding loop.
ATTNSIM_D int recomputed(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Returns the launch's error. `dependent`: programmatic dependent launch after the kernel before it in the stream.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes, Stream stream, const A&... arguments) {
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(arguments)...);
  return cudaGetLastError();
}

using Status = cudaError_t;
constexpr Status kSuccess = cudaSuccess;

}  // namespace attnsim::cuda

#else

#include <cmath>
#include <cstring>

#include "validation/cuda/emulate/emulate.h"

#define ATTNSIM_HD inline
#define ATTNSIM_D inline
#define ATTNSIM_SM90 1
#define __global__
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (attnsim::emulate::thread_index())
#define blockIdx (attnsim::emulate::block_index())
#define blockDim (attnsim::emulate::block_size())
#define gridDim (attnsim::emulate::grid_size())

struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};

namespace attnsim::cuda {

using Stream = int;
using dim3 = emulate::Dim3;

inline std::uint8_t* shared_memory() {
  return emulate::shared_memory();
}
inline std::uint32_t shared_address(const void* p) {
  return emulate::shared_address(p);
}
inline void sync_block() {
  const emulate::Dim3 b = emulate::block_size();
  emulate::barrier(0, static_cast<int>(b.x * b.y * b.z), true);
}
inline void sync_warp() {
  emulate::warp_together(nullptr, [](void* const*) {});
}
inline int lane_index() {
  return static_cast<int>(emulate::lane());
}
inline float shuffle_xor(float value, int mask) {
  float both[2] = {value, 0};
  emulate::warp_together(both, [mask](void* const* lanes) {
    for (int l = 0; l < 32; ++l) static_cast<float*>(lanes[l])[1] = static_cast<float*>(lanes[l ^ mask])[0];
  });
  return both[1];
}
inline int broadcast_lane(int value, int lane) {
  int both[2] = {value, 0};
  emulate::warp_together(both, [lane](void* const* lanes) {
    for (int l = 0; l < 32; ++l) static_cast<int*>(lanes[l])[1] = static_cast<int*>(lanes[lane])[0];
  });
  return both[1];
}
inline void atomic_add(float* address, float value) {
  ++emulate::counts().global_atomics;
  *address += value;
}
inline int atomic_add(int* address, int value) {
  ++emulate::counts().global_atomics;
  const int before = *address;
  *address += value;
  return before;
}
inline void atomic_add(long long* address, long long value) {
  *address += value;
}
inline void fence_device() {}
inline int recomputed(int value) {
  return value;
}
inline float bits_as_float(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

using Status = int;
constexpr Status kSuccess = 0;

template <class... P, class... A>
Status launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes, Stream, const A&... arguments) {
  emulate::run(grid, block, shared_bytes, [&] { kernel(static_cast<P>(arguments)...); });
  return kSuccess;
}

}  // namespace attnsim::cuda

#endif

namespace attnsim::cuda {

constexpr ATTNSIM_HD int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}
constexpr ATTNSIM_HD int least(int a, int b) {
  return a < b ? a : b;
}
constexpr ATTNSIM_HD int greatest(int a, int b) {
  return a > b ? a : b;
}

}  // namespace attnsim::cuda
