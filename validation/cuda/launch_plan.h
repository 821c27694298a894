// SPDX-License-Identifier: Apache-2.0
// What the host decides before a launch, in plain C++: tile lists, split counts, sizes of permuted problems. Used by the backend and,
// without a GPU, by the tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/cuda/arguments.h"

namespace attnsim::cuda {

// list_offsets and list_tiles of AttentionArgs: lists [classes][query tiles].
struct TileLists {
  std::vector<int> offsets{0};
  std::vector<int> tiles;  // 2 x tile + (1 if it needs the mask)
};

// Whether block-sparse attention keeps KV tile `kv_tile` for query tile `q_tile`: a draw from the seed; the tile on the diagonal
// (the one that holds the same relative position) is always kept, so that no row is empty.
[[nodiscard]] bool block_kept(int q_tile, int q_tiles, int kv_tile, int kv_tiles, double density, std::uint64_t seed);
// The last tile needs the mask where kv_len is no multiple of tile_kv.
[[nodiscard]] TileLists block_sparse_lists(int q_len, int kv_len, int tile_q, int tile_kv, double density, std::uint64_t seed);

// Fills q_tile and kv_tile with powers of two whose products are tile_q and tile_kv, spread over the axes as vendors' kernels do:
// (128), (16, 8), (2, 8, 8) for 128; (64), (8, 8), (2, 4, 8) for 64. `rank` axes count, the others have length 1.
void choose_gna_tiles(GnaArgs& gna, int rank, int tile_q, int tile_kv);
[[nodiscard]] int gna_classes(const GnaArgs& gna);
[[nodiscard]] int gna_permuted(const GnaArgs& gna, bool keys);  // tokens of one class, padded to whole tiles
[[nodiscard]] TileLists gna_lists(const GnaArgs& gna);
// Empty, or why the parameters make no neighborhood (a window longer than the shortest class, a stride longer than the window, ...).
[[nodiscard]] std::string gna_refusal(const GnaArgs& gna);

// FlashAttention-2's rule: the smallest count whose waves over 2 x SMs are at least 85 % as full as the fullest; 1 when 80 % of the
// slots are taken already. `row_tiles` counts batch x KV heads x row tiles.
[[nodiscard]] int fa2_splits(int row_tiles, int kv_tiles, int sms, int most = 128);
// Pieces that one (batch entry, KV head) can fall into when `ctas` share all tiles evenly.
[[nodiscard]] int lean_pieces(int pairs, int tiles_per_pair, int ctas);

}  // namespace attnsim::cuda
