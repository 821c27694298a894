// SPDX-License-Identifier: Apache-2.0
#include "sim/core/heap.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace attnsim {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kKept = 256 << 20;
  constexpr int kGrownBy = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kKept);
  mallopt(M_TRIM_THRESHOLD, kKept);
  mallopt(M_TOP_PAD, kGrownBy);
#endif
}

}  // namespace attnsim
