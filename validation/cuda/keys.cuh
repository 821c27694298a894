// SPDX-License-Identifier: Apache-2.0
// Where token j of one (batch entry, KV head) lies: at(j) is an element offset into K and V, whose pointers stay in constant memory.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/platform.cuh"

namespace attnsim::cuda {

template <int D>
struct ContiguousKeys {
  std::int64_t base;
  int stride;  // elements from token to token
  ATTNSIM_HD ContiguousKeys(const AttentionArgs& a, int batch, int kv_head)
      : base((static_cast<std::int64_t>(batch) * a.kv_len * a.kv_heads + kv_head) * D), stride(a.kv_heads * D) {}
  ATTNSIM_HD std::int64_t at(int token) const { return base + static_cast<std::int64_t>(token) * stride; }
};

template <int D>
struct PagedKeys {
  const int* table;
  int base, stride, page_shift;  // pages are powers of two
  ATTNSIM_HD PagedKeys(const AttentionArgs& a, int batch, int kv_head)
      : table(a.block_table + static_cast<std::int64_t>(batch) * a.pages_per_sequence),
        base(kv_head * D),
        stride(a.kv_heads * D),
        page_shift(0) {
    while ((1 << page_shift) < a.page) ++page_shift;
  }
  ATTNSIM_HD std::int64_t at(int token) const {
    const std::int64_t page = table[token >> page_shift];
    return ((page << page_shift) + (token & ((1 << page_shift) - 1))) * stride + base;
  }
};

}  // namespace attnsim::cuda
