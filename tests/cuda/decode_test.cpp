// SPDX-License-Identifier: Apache-2.0
// Decode kernels, thread by thread on the CPU: split KV, paged KV, stream-K.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/launch_plan.h"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

namespace {

struct DecodeSetting {
  int batch, q_heads, kv_heads, q_len, kv_len, d, pieces;  // splits, or CTAs of stream-K
  Dtype dtype = Dtype::bf16;
};

struct Partials {
  std::vector<float> o, lse;
  std::vector<int> counters;
  Partials(Case& c, int pieces)
      : o(static_cast<std::size_t>(pieces) * c.q.size(), NAN),
        lse(static_cast<std::size_t>(pieces) * c.lse.size(), NAN),
        counters(static_cast<std::size_t>(c.args.batch * c.args.kv_heads), 0) {
    c.args.partial_o = o.data();
    c.args.partial_lse = lse.data();
    c.args.counters = counters.data();
  }
};

// Tokens of K and V scattered over pages in random order.
struct Paged {
  std::vector<std::uint16_t> k, v;
  std::vector<int> table;
  Paged(Case& c, int page) {
    const int pages = (c.args.kv_len + page - 1) / page;
    table.resize(static_cast<std::size_t>(c.args.batch) * pages);
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), std::mt19937(3));
    const std::size_t row = static_cast<std::size_t>(c.args.kv_heads) * c.d;
    k.assign(table.size() * page * row, 0x7fff);
    v = k;
    for (int b = 0; b < c.args.batch; ++b) {
      for (int t = 0; t < c.args.kv_len; ++t) {
        const std::size_t to = (static_cast<std::size_t>(table[b * pages + t / page]) * page + t % page) * row;
        const std::size_t from = (static_cast<std::size_t>(b) * c.args.kv_len + t) * row;
        std::copy_n(c.k.begin() + from, row, k.begin() + to);
        std::copy_n(c.v.begin() + from, row, v.begin() + to);
      }
    }
    c.args.k = k.data();
    c.args.v = v.data();
    c.args.block_table = table.data();
    c.args.page = page;
    c.args.pages_per_sequence = pages;
  }
};

const std::vector<DecodeSetting> kDecodeSettings{
    {2, 8, 2, 1, 700, 64, 3}, {1, 4, 1, 3, 300, 128, 2}, {1, 2, 2, 1, 513, 128, 1}, {1, 4, 2, 1, 100, 128, 5}};

void check_decode(const Case& c, const Reference& r) {
  CHECK(worst_output_error(c, r) < tolerance(c.dtype));
  CHECK(worst_error(r.lse, [&](std::size_t i) { return c.lse[i]; }) < 1e-3);
}

}  // namespace

TEST_CASE("split decode equals the reference whatever the number of splits") {
  for (const DecodeSetting& s : kDecodeSettings) {
    CAPTURE(s.kv_len, s.d, s.pieces);
    Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 5);
    c.args.right = 0;
    c.args.splits = s.pieces;
    const Partials partials(c, s.pieces);
    REQUIRE(decode_split(c.args, s.d, c.dtype, {}) == kSuccess);
    check_decode(c, c.reference(interval(s.q_len, s.kv_len, -1, 0)));
  }
}

TEST_CASE("paged decode finds its tokens through the block table") {
  for (const int page : {16, 64}) {
    for (const DecodeSetting& s : kDecodeSettings) {
      CAPTURE(s.kv_len, s.d, s.pieces, page);
      Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 6);
      c.args.right = 0;
      c.args.splits = s.pieces;
      const Paged paged(c, page);
      const Partials partials(c, s.pieces);
      REQUIRE(decode_paged(c.args, s.d, c.dtype, {}) == kSuccess);
      check_decode(c, c.reference(interval(s.q_len, s.kv_len, -1, 0)));
    }
  }
}

TEST_CASE("stream-K decode merges what its cuts split and leaves its counters at zero") {
  for (const DecodeSetting& s : kDecodeSettings) {
    for (const int ctas : {1, 3, 7}) {
      CAPTURE(s.kv_len, s.d, ctas);
      Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 8);
      c.args.right = 0;
      const int tile_kv = s.d == 64 ? 256 : 128;
      const Partials partials(c, lean_pieces(s.batch * s.kv_heads, (s.kv_len + tile_kv - 1) / tile_kv, ctas));
      REQUIRE(decode_lean(c.args, s.d, c.dtype, ctas, {}) == kSuccess);
      check_decode(c, c.reference(interval(s.q_len, s.kv_len, -1, 0)));
      CHECK(std::count(partials.counters.begin(), partials.counters.end(), 0) == static_cast<std::ptrdiff_t>(partials.counters.size()));
    }
  }
}
