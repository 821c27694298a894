// SPDX-License-Identifier: Apache-2.0
#include "sim/core/heap.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace attnsim {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kKeptBytes = 256 << 20;
  constexpr int kGrownByBytes = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kKeptBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kGrownByBytes);
#endif
}

}  // namespace attnsim
