// SPDX-License-Identifier: Apache-2.0
// The six programs of docs/ir.md, small and complete, for tests of every layer. Their text form stands in docs/ir.md.
#pragma once

#include <cstdint>

#include "sim/ir/pipeline.h"

namespace attnsim::test {

// C = A B in bf16. Items are output tiles. Matrices are stored in column panels, so that a panel is a slab:
//   a: k / tile_k slabs of [m x tile_k], b: n / tile_n slabs of [k x tile_n], c: n / tile_n slabs of [m x tile_n].
// m and k may be ragged (the last panel of a is padded), n must be a multiple of tile_n.
// A producer fills a ring of `stages` by TMA, a consumer of 4 warps multiplies.
[[nodiscard]] ir::Pipeline toy_gemm(int m, int n, int k, int tile_m, int tile_n, int tile_k, int stages,
                                    ir::GridPolicy policy = ir::GridPolicy::one_item_per_cta, ir::MmaKind kind = ir::MmaKind::wgmma_ss);

// One attention call: `slabs` independent heads. Tensors q, k, v, o in this order; causal is aligned at the bottom right.
struct ToyAttention {
  int slabs = 1;
  int q_len = 64;
  int kv_len = 64;
  int head_dim = 64;
  bool causal = false;
};
// One agent loads (cp.async, K one trip ahead) and computes (mma.sync), as FlashAttention-2 does.
[[nodiscard]] ir::Pipeline toy_fa2(const ToyAttention& shape, int tile_q, int tile_kv);
// Producer and two consumers (wgmma, TMA), QK^T of the next trip before PV of this one, consumers take turns (FlashAttention-3).
[[nodiscard]] ir::Pipeline toy_fa3(const ToyAttention& shape, int tile_q, int tile_kv, int stages);
// Decode: q_len is the rows packed into one MMA tile. `splits` pieces of the KV range, then a combine kernel.
[[nodiscard]] ir::Pipeline toy_split_kv(const ToyAttention& shape, int tile_q, int tile_kv, int splits);
// The same with the combine done by the CTA that arrives last.
[[nodiscard]] ir::Pipeline toy_split_kv_last(const ToyAttention& shape, int tile_q, int tile_kv, int splits);
// Stream-K over the KV tiles of all slabs (LeanAttention): `ctas` lists of equal length; the CTA with a slab's first tiles
// adds up the pieces of the others. q_len <= tile_q.
[[nodiscard]] ir::Pipeline toy_stream_k(const ToyAttention& shape, int tile_q, int tile_kv, int ctas);
// Chunked causal linear attention, O = tril(Q K^T) V, the state K^T V in registers over the chunks. Tensors q, k, v, o.
[[nodiscard]] ir::Pipeline toy_linear(int slabs, int length, int head_dim_qk, int head_dim_v, int chunk);

}  // namespace attnsim::test
