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
    if (first_lane) {
      atomic_add(to + kTallyMma, counts[kTallyMma]);
      atomic_add(to + kTallyFlops, static_cast<long long>(counts[kTallyMma]) * kFlopsPerMma);
    }
    atomic_add(to + kTallyExps, counts[kTallyExps]);
    atomic_add(to + kTallyBytes, counts[kTallyBytes]);
    for (int& count : counts) count = 0;
  }
};

// The same for kernels that have no registers left for counts, or end in many places: added where they arise, by the thread that calls.
template <bool kOn>
struct DirectTally {
  ATTNSIM_D explicit DirectTally(long long*) {}
  ATTNSIM_D void tile() const {}
  ATTNSIM_D void mma(int) const {}
  ATTNSIM_D void wgmma(int, int) const {}
  ATTNSIM_D void exps(int) const {}
  ATTNSIM_D void bytes(int) const {}
};

template <>
struct DirectTally<true> {
  long long* to;
  ATTNSIM_D explicit DirectTally(long long* tally) : to(tally) {}
  ATTNSIM_D void tile() const { add(kTallyTiles, 1); }
  ATTNSIM_D void mma(int n) const {  // of the warp
    if (lane_index() != 0) return;
    add(kTallyMma, n);
    add(kTallyFlops, static_cast<long long>(n) * kFlopsPerMma);
  }
  // n instructions m64 n`columns` k16 of the warpgroup.
  ATTNSIM_D void wgmma(int n, int columns) const {
    if (threadIdx.x % 128 != 0) return;
    add(kTallyWgmma, n);
    add(kTallyFlops, 2LL * 64 * 16 * columns * n);
  }
  ATTNSIM_D void exps(int n) const { add(kTallyExps, n); }
  ATTNSIM_D void bytes(int n) const {
    if (n > 0) add(kTallyBytes, n);
  }
  ATTNSIM_D void add(int what, long long n) const { atomic_add(to + what, n); }
};

}  // namespace attnsim::cuda
