// SPDX-License-Identifier: Apache-2.0
// Kernels over tile lists, thread by thread on the CPU: block-sparse, and generalized neighborhood attention with its permutations.
#include <array>
#include <catch2/catch.hpp>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/launch_plan.h"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

namespace {

struct Gna {
  int rank;
  GnaArgs gna;
  int d;
  int batch = 1, q_heads = 1;
};

Gna gna(int rank, std::array<int, 3> length, std::array<int, 3> window, std::array<int, 3> stride, std::array<int, 3> dilation, int d) {
  Gna g{.rank = rank, .gna = {}, .d = d};
  for (int a = 0; a < 3; ++a) {
    g.gna.length[a] = length[a];
    g.gna.window[a] = window[a];
    g.gna.stride[a] = stride[a];
    g.gna.dilation[a] = dilation[a];
  }
  choose_gna_tiles(g.gna, rank, 128, d == 64 ? 128 : 64);
  return g;
}

// NATTEN's definition, per axis: the window of the stride group's leader, moved inside the axis; residue classes apart.
bool sees(const GnaArgs& g, int q, int k) {
  for (int a = 2; a >= 0; --a) {
    int qa = q % g.length[a];
    int ka = k % g.length[a];
    q /= g.length[a];
    k /= g.length[a];
    if (qa % g.dilation[a] != ka % g.dilation[a]) return false;
    const int residue = qa % g.dilation[a];
    int n = 0;
    for (int i = residue; i < g.length[a]; i += g.dilation[a]) ++n;
    qa /= g.dilation[a];
    ka /= g.dilation[a];
    int leader = qa - qa % g.stride[a] + g.stride[a] / 2;
    if (leader > n - 1) leader = n - 1;
    int begin = leader - g.window[a] / 2;
    if (begin > n - g.window[a]) begin = n - g.window[a];
    if (begin < 0) begin = 0;
    if (ka < begin || ka >= begin + g.window[a]) return false;
  }
  return true;
}

const std::vector<Gna>& problems() {
  static const std::vector<Gna> all = [] {
    std::vector<Gna> list{
        gna(1, {200, 1, 1}, {70, 1, 1}, {1, 1, 1}, {1, 1, 1}, 64), gna(1, {261, 1, 1}, {33, 1, 1}, {16, 1, 1}, {2, 1, 1}, 128),
        gna(2, {20, 19, 1}, {7, 8, 1}, {2, 3, 1}, {1, 1, 1}, 64),  gna(2, {16, 32, 1}, {8, 16, 1}, {8, 16, 1}, {1, 2, 1}, 128),
        gna(3, {5, 9, 11}, {3, 4, 8}, {1, 2, 8}, {1, 1, 1}, 64),   gna(3, {4, 9, 17}, {2, 4, 5}, {1, 1, 3}, {2, 1, 3}, 128)};
    list[0].batch = 2;
    list[3].q_heads = 2;
    return list;
  }();
  return all;
}

Status permute(const GnaArgs& g, const Case& c, const void* from, void* to, int heads, bool keys, bool inverse) {
  PermuteArgs p;
  p.from = from;
  p.to = to;
  p.batch = c.args.batch;
  p.classes = gna_classes(g);
  p.tokens = g.length[0] * g.length[1] * g.length[2];
  p.permuted = gna_permuted(g, keys);
  p.row_bytes = heads * c.d * 2;
  p.keys = keys;
  p.gna = g;
  return permute_tokens(p, inverse, {});
}

}  // namespace

TEST_CASE("block-sparse attention visits the tiles of its lists") {
  for (const int d : {64, 128}) {
    const int tile_kv = d == 64 ? 128 : 64;
    Case c(1, 2, 1, 300, 400, d, d == 64 ? Dtype::bf16 : Dtype::f16, 9);
    const TileLists lists = block_sparse_lists(300, 400, 128, tile_kv, 0.4, 77);
    c.args.list_offsets = lists.offsets.data();
    c.args.list_tiles = lists.tiles.data();
    REQUIRE(forward_block_sparse(c.args, d, c.dtype, {}) == kSuccess);
    const Reference r =
        c.reference([&](int, int q, int k) { return block_kept(q / 128, 3, k / tile_kv, (400 + tile_kv - 1) / tile_kv, 0.4, 77); });
    CHECK(worst_output_error(c, r) < tolerance(c.dtype));
  }
}

TEST_CASE("block-sparse lists keep about their density and never leave a query without keys") {
  const TileLists lists = block_sparse_lists(64 * 128, 64 * 128, 128, 128, 0.25, 3);
  CHECK(static_cast<double>(lists.tiles.size()) / (64 * 64) == Approx(0.25).margin(0.04));
  for (std::size_t t = 0; t + 1 < lists.offsets.size(); ++t) CHECK(lists.offsets[t] < lists.offsets[t + 1]);
}

TEST_CASE("neighborhood attention on permuted tokens equals its definition in one and two and three dimensions") {
  for (const Gna& p : problems()) {
    CAPTURE(p.rank, p.d);
    REQUIRE(gna_refusal(p.gna).empty());
    const int tokens = p.gna.length[0] * p.gna.length[1] * p.gna.length[2];
    Case c(p.batch, p.q_heads, 1, tokens, tokens, p.d, p.rank == 2 ? Dtype::f16 : Dtype::bf16, 12);
    const int classes = gna_classes(p.gna);
    const std::size_t q_rows = static_cast<std::size_t>(p.batch) * classes * gna_permuted(p.gna, false);
    const std::size_t kv_rows = static_cast<std::size_t>(p.batch) * classes * gna_permuted(p.gna, true);
    std::vector<std::uint16_t> q(q_rows * p.q_heads * p.d, 0x7fff), o(q.size(), 0x7fff), k(kv_rows * p.d, 0x7fff), v(k.size(), 0x7fff);
    REQUIRE(permute(p.gna, c, c.q.data(), q.data(), p.q_heads, false, false) == kSuccess);
    REQUIRE(permute(p.gna, c, c.k.data(), k.data(), 1, true, false) == kSuccess);
    REQUIRE(permute(p.gna, c, c.v.data(), v.data(), 1, true, false) == kSuccess);
    const TileLists lists = gna_lists(p.gna);
    AttentionArgs a = c.args;
    a.q = q.data();
    a.k = k.data();
    a.v = v.data();
    a.o = o.data();
    a.lse = nullptr;
    a.batch = p.batch * classes;
    a.q_len = gna_permuted(p.gna, false);
    a.kv_len = gna_permuted(p.gna, true);
    a.list_offsets = lists.offsets.data();
    a.list_tiles = lists.tiles.data();
    a.list_classes = classes;
    a.gna = p.gna;
    REQUIRE(forward_gna(a, p.d, c.dtype, {}) == kSuccess);
    REQUIRE(permute(p.gna, c, o.data(), c.o.data(), p.q_heads, false, true) == kSuccess);
    const Reference r = c.reference([&](int, int query, int key) { return sees(p.gna, query, key); });
    CHECK(worst_output_error(c, r) < tolerance(c.dtype));
  }
}

TEST_CASE("window and stride that are multiples of the tiles leave no partly covered tile") {
  GnaArgs g;
  g.length[0] = 32768;
  g.window[0] = 2048;
  g.stride[0] = 256;
  choose_gna_tiles(g, 1, 256, 128);
  int masked = 0;
  for (const int tile : gna_lists(g).tiles) masked += tile % 2;
  CHECK(masked == 0);
  g.stride[0] = 128;
  masked = 0;
  for (const int tile : gna_lists(g).tiles) masked += tile % 2;
  CHECK(masked > 0);
}

TEST_CASE("parameters that make no neighborhood are refused with the reason") {
  GnaArgs g;
  g.length[0] = 100;
  g.window[0] = 60;
  g.dilation[0] = 2;
  CHECK(gna_refusal(g) == "the window times the dilation is longer than the axis");
  g.dilation[0] = 1;
  g.stride[0] = 61;
  CHECK(gna_refusal(g) == "the stride is longer than the window");
}
