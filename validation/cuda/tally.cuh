// SPDX-License-Identifier: Apache-2.0
// What a kernel counts where it is compiled to count (AttentionArgs::tally). Tally<false> is empty: nothing of it is left in the kernel
// that is timed.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/platform.cuh"

namespace attnsim::cuda {

// One thread's counts.
template <bool kOn>
struct Tally {
  ATTNSIM_D void tile() {}
  ATTNSIM_D void mma(int) {}
  ATTNSIM_D void exps(int) {}
  ATTNSIM_D void bytes(int) {}
  ATTNSIM_D void flush(long long*) {}
};

template <>
struct Tally<true> {
  int counts[kTallies] = {};
  ATTNSIM_D void tile() { counts[kTallyTiles] += 1; }        // a KV tile of the CTA
  ATTNSIM_D void mma(int n) { counts[kTallyMma] += n; }      // mma.m16n8k16 of the warp
  ATTNSIM_D void exps(int n) { counts[kTallyExps] += n; }    // of this thread's scores
  ATTNSIM_D void bytes(int n) { counts[kTallyBytes] += n; }  // of this thread, between L2 and the SM
  ATTNSIM_D void flush(long long* to) {
    const bool first_lane = lane_index() == 0;
    if (threadIdx.x == 0) atomic_add(to + kTallyTiles, counts[kTallyTiles]);
    if (first_lane) atomic_add(to + kTallyMma, counts[kTallyMma]);
    atomic_add(to + kTallyExps, counts[kTallyExps]);
    atomic_add(to + kTallyBytes, counts[kTallyBytes]);
    for (int& count : counts) count = 0;
  }
};

}  // namespace attnsim::cuda
