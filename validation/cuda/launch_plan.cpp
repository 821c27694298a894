// SPDX-License-Identifier: Apache-2.0
#include "validation/cuda/launch_plan.h"

#include <algorithm>
#include <array>

namespace attnsim::cuda {

namespace {

int ceil_of(int a, int b) {
  return (a + b - 1) / b;
}

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

struct Span {  // tiles [first, last] of one axis, full inside [full_first, full_last]
  int first = 0, last = -1, full_first = 0, full_last = -1;
};

struct Window {
  int first, last;
};

Window axis_window(int length, int window, int stride, int q) {
  const int before = window / 2;
  const int after = window / 2 + window % 2 - 1;
  const int leader = std::min(q / stride * stride + stride / 2, length - 1);
  const int centre = std::clamp(leader, before, length - 1 - after);
  return {centre - before, centre + after};
}

// Windows move monotonically with the query, so the first and the last query of a tile bound it.
Span axis_span(int length, int window, int stride, int q_begin, int q_tile, int kv_tile) {
  const int q_last = std::min(q_begin + q_tile, length) - 1;
  if (q_last < q_begin) return {};
  const Window head = axis_window(length, window, stride, q_begin);
  const Window tail = axis_window(length, window, stride, q_last);
  Span span;
  span.first = head.first / kv_tile;
  span.last = tail.last / kv_tile;
  span.full_first = ceil_of(tail.first, kv_tile);
  span.full_last = (head.last + 1) / kv_tile - 1;
  return span;
}

}  // namespace

bool block_kept(int q_tile, int q_tiles, int kv_tile, int kv_tiles, double density, std::uint64_t seed) {
  if (kv_tile == static_cast<int>(static_cast<std::int64_t>(q_tile) * kv_tiles / q_tiles)) return true;
  const std::uint64_t bits = mixed(mixed(mixed(seed) + static_cast<std::uint64_t>(q_tile)) + static_cast<std::uint64_t>(kv_tile));
  return static_cast<double>(bits >> 11) * 0x1p-53 < density;
}

TileLists block_sparse_lists(int q_len, int kv_len, int tile_q, int tile_kv, double density, std::uint64_t seed) {
  TileLists lists;
  const int q_tiles = ceil_of(q_len, tile_q);
  const int kv_tiles = ceil_of(kv_len, tile_kv);
  for (int q = 0; q < q_tiles; ++q) {
    for (int k = 0; k < kv_tiles; ++k) {
      if (block_kept(q, q_tiles, k, kv_tiles, density, seed)) lists.tiles.push_back(2 * k + ((k + 1) * tile_kv > kv_len ? 1 : 0));
    }
    lists.offsets.push_back(static_cast<int>(lists.tiles.size()));
  }
  return lists;
}

void choose_gna_tiles(GnaArgs& gna, int rank, int tile_q, int tile_kv) {
  const auto choose = [rank](int tile, int(&out)[kAxes]) {
    const bool large = tile >= 128;
    const std::array<std::array<int, kAxes>, kAxes> shapes{
        {{tile, 1, 1}, {large ? tile / 8 : 8, 8, 1}, {2, large ? 8 : 4, large ? tile / 16 : 8}}};
    for (int a = 0; a < kAxes; ++a) out[a] = shapes.at(static_cast<std::size_t>(rank - 1)).at(static_cast<std::size_t>(a));
  };
  choose(tile_q, gna.q_tile);
  choose(tile_kv, gna.kv_tile);
}

int gna_classes(const GnaArgs& gna) {
  return gna.dilation[0] * gna.dilation[1] * gna.dilation[2];
}

int gna_permuted(const GnaArgs& gna, bool keys) {
  int tokens = 1;
  for (int a = 0; a < kAxes; ++a) {
    const int tile = keys ? gna.kv_tile[a] : gna.q_tile[a];
    tokens *= ceil_of(ceil_of(gna.length[a], gna.dilation[a]), tile) * tile;
  }
  return tokens;
}

TileLists gna_lists(const GnaArgs& gna) {
  TileLists lists;
  const int classes = gna_classes(gna);
  std::array<int, kAxes> q_tiles{};
  std::array<int, kAxes> kv_tiles{};
  for (std::size_t a = 0; a < kAxes; ++a) {
    const int longest = ceil_of(gna.length[a], gna.dilation[a]);
    q_tiles[a] = ceil_of(longest, gna.q_tile[a]);
    kv_tiles[a] = ceil_of(longest, gna.kv_tile[a]);
  }
  for (int c = 0; c < classes; ++c) {
    const std::array<int, kAxes> residue{c / (gna.dilation[1] * gna.dilation[2]), c / gna.dilation[2] % gna.dilation[1],
                                         c % gna.dilation[2]};
    for (int t = 0; t < q_tiles[0] * q_tiles[1] * q_tiles[2]; ++t) {
      const std::array<int, kAxes> tile{t / (q_tiles[1] * q_tiles[2]), t / q_tiles[2] % q_tiles[1], t % q_tiles[2]};
      std::array<Span, kAxes> span;
      for (std::size_t a = 0; a < kAxes; ++a) {
        const int length = ceil_of(gna.length[a] - residue[a], gna.dilation[a]);
        span[a] = axis_span(length, gna.window[a], gna.stride[a], tile[a] * gna.q_tile[a], gna.q_tile[a], gna.kv_tile[a]);
      }
      std::array<int, kAxes> at{};
      for (at[0] = span[0].first; at[0] <= span[0].last; ++at[0]) {
        for (at[1] = span[1].first; at[1] <= span[1].last; ++at[1]) {
          for (at[2] = span[2].first; at[2] <= span[2].last; ++at[2]) {
            bool full = true;
            for (std::size_t a = 0; a < kAxes; ++a) full = full && at[a] >= span[a].full_first && at[a] <= span[a].full_last;
            lists.tiles.push_back(2 * ((at[0] * kv_tiles[1] + at[1]) * kv_tiles[2] + at[2]) + (full ? 0 : 1));
          }
        }
      }
      lists.offsets.push_back(static_cast<int>(lists.tiles.size()));
    }
  }
  return lists;
}

std::string gna_refusal(const GnaArgs& gna) {
  for (int a = 0; a < kAxes; ++a) {
    if (gna.length[a] < 1 || gna.window[a] < 1 || gna.stride[a] < 1 || gna.dilation[a] < 1)
      return "lengths, windows, strides and dilations are at least 1";
    if (gna.length[a] / gna.dilation[a] < gna.window[a]) return "the window times the dilation is longer than the axis";
    if (gna.stride[a] > gna.window[a]) return "the stride is longer than the window";
  }
  return "";
}

int fa2_splits(int row_tiles, int kv_tiles, int sms, int most) {
  const int slots = 2 * sms;
  if (10 * row_tiles >= 8 * slots) return 1;
  most = std::min({most, slots, kv_tiles});
  const auto adds_nothing = [&](int s) { return s > 1 && ceil_of(kv_tiles, s) == ceil_of(kv_tiles, s - 1); };
  const auto fullness = [&](int s) {
    return static_cast<double>(row_tiles * s) / static_cast<double>(ceil_of(row_tiles * s, slots) * slots);
  };
  double best = 0;
  for (int s = 1; s <= most; ++s) {
    if (!adds_nothing(s)) best = std::max(best, fullness(s));
  }
  for (int s = 1; s <= most; ++s) {
    if (!adds_nothing(s) && fullness(s) >= 0.85 * best) return s;
  }
  return 1;
}

int lean_pieces(int pairs, int tiles_per_pair, int ctas) {
  const std::int64_t tiles = static_cast<std::int64_t>(pairs) * tiles_per_pair;
  const std::int64_t shortest = std::max<std::int64_t>(1, tiles / ctas);
  return static_cast<int>(ceil_of(tiles_per_pair, static_cast<int>(shortest))) + 1;
}

}  // namespace attnsim::cuda
