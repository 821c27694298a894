// SPDX-License-Identifier: Apache-2.0
// Stream-K (LeanAttention, arXiv 2405.10480): the KV tiles of all batch entries, heads and query tiles lie in one line, which is cut into
// shares that differ by at most one tile. A share that begins inside a row tile hands its partial result over (RowTile::flag); the CTA
// that owns the row tile's first KV tiles awaits the others (RowTile::peers of them) and adds their results to its own.
//
//   two heads of 5 KV tiles, 3 CTAs: | a0 a1 a2 a3 | a4 b0 b1 | b2 b3 b4 |
//   items: a {0..3, peers 1}, a {4, flag}, b {0..1, peers 1}, b {2..4, flag};  lists: 0 | 1 2 | 3
#pragma once

#include <cstdint>
#include <vector>

#include "sim/ir/kernel.h"

namespace attnsim {

struct StreamK {
  std::vector<ir::ItemFamily> families;          // one per slab; items in the order of the line
  std::vector<std::vector<std::int64_t>> lists;  // positions in grid order, by CTA
  int most_peers = 0;                            // over all row tiles
};

// Cuts whole items (one per row tile; a row tile without KV tiles stays an item) into shares of `ctas` CTAs, 1 <= ctas <= KV tiles. Of
// trips that are partial, each piece gets an equal part of the kept pairs beyond those of its full trips: sums are exact.
[[nodiscard]] StreamK cut_into_shares(const std::vector<ir::ItemFamily>& whole, int tile_kv, std::int64_t ctas);

[[nodiscard]] std::int64_t total_trips(const std::vector<ir::ItemFamily>& whole);

// CTAs of onnxruntime's contrib_ops/cuda/bert/lean_attention/lean_api.cc: `per_sm` CTAs an SM where each gets more than two tiles, else one
// per two tiles; never so many that a row tile of `blocks` KV tiles has more than `most_splits` pieces.
struct StreamKInput {
  std::int64_t total_tiles = 1;
  std::int64_t row_tiles = 1;
  std::int64_t blocks = 1;  // KV tiles of the longest row tile
  std::int64_t sms = 1;
  std::int64_t per_sm = 2;
  std::int64_t most_splits = 32;
};
[[nodiscard]] std::int64_t stream_k_ctas(const StreamKInput& input);

}  // namespace attnsim
