// SPDX-License-Identifier: Apache-2.0
// Runs a kernel's source on the CPU, thread by thread, so that indices, fragments, masks and synchronisation are tested where no GPU is.
// Each CUDA thread is a fiber. Warp-wide and warpgroup-wide instructions gather their lanes, barriers block, and a schedule drawn from
// a seed interleaves the warps. `late`: asynchronous copies and products take effect as late as the program allows (at the wait that
// orders them), so that a missing wait or barrier shows as a wrong value; shared memory starts poisoned; a deadlock throws.
// Not modelled: memory-proxy fences, caches, time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace attnsim::emulate {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  Dim3() = default;
  Dim3(unsigned a, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}  // NOLINT: implicit, as CUDA's
};

struct Options {
  bool late = true;
  std::uint64_t seed = 1;
};

// What the CTAs of a launch executed, in units of one instruction of one thread unless named.
struct Counts {
  std::int64_t mma_flops = 0;  // multiply and add count as two
  std::int64_t wgmma_flops = 0;
  std::int64_t exp2 = 0;
  std::int64_t cp_async_bytes = 0;
  std::int64_t tma_bytes = 0;
  std::int64_t global_atomics = 0;
  std::int64_t shared_wavefronts = 0;        // of ldmatrix and of shared stores
  std::int64_t shared_wavefronts_ideal = 0;  // without bank conflicts
};

// Throws std::runtime_error on deadlock, shared-memory overrun, or divergence inside a warp-wide instruction.
void run(Dim3 grid, Dim3 block, std::size_t shared_bytes, const std::function<void()>& body);
void set_options(const Options& options);
Counts take_counts();  // since the last call
Counts& counts();

// Of the running thread.
Dim3 thread_index();
Dim3 block_index();
Dim3 block_size();
Dim3 grid_size();
unsigned lane();
std::uint8_t* shared_memory();
// A shared address as the hardware counts it, and back; `bytes` is checked against the CTA's allocation.
std::uint32_t shared_address(const void* pointer);
std::uint8_t* shared_pointer(std::uint32_t address, std::size_t bytes);

// The running thread gives its argument; the last of 32 (128) lanes runs `execute` over all, lane 0 first, then all go on.
void warp_together(void* mine, const std::function<void(void* const* lanes)>& execute);
void warpgroup_together(void* mine, const std::function<void(void* const* lanes)>& execute);
void barrier(int id, int threads, bool wait);
void block_until(const std::function<bool()>& ready);
void fail(const char* why);

// cp.async of the running thread: jobs of one group, in order.
void copy_async(std::function<void()> job);
void copy_commit();
void copy_wait(int groups_left);

// wgmma of the running warpgroup; called from inside warpgroup_together.
void wgmma_issue(std::function<void()> job);
void wgmma_commit();
void wgmma_wait(int groups_left);

// mbarrier objects by shared address.
void mbarrier_init(std::uint32_t address, int count);
void mbarrier_arrive(std::uint32_t address, std::int64_t expect_bytes);
void mbarrier_complete(std::uint32_t address, std::int64_t bytes);
bool mbarrier_passed(std::uint32_t address, unsigned parity);
// A copy of the copy engine: `job` runs at some later time, then its bytes are reported.
void engine_copy(std::function<void()> job, std::uint32_t barrier, std::int64_t bytes);

}  // namespace attnsim::emulate
