// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/touched.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "sim/bounds/traffic.h"
#include "tests/support/random_pipeline.h"

namespace attnsim::bounds {

namespace {

constexpr double kElement = 2;  // bf16

// (slab, row) of K that some item visits, by looking at every tile of every item.
std::set<std::pair<std::int64_t, std::int64_t>> visited_keys(const test::AttentionSpec& spec) {
  std::set<std::pair<std::int64_t, std::int64_t>> rows;
  for (std::int64_t begin = 0; begin < spec.q_len; begin += spec.tile_q) {
    const std::int64_t end = std::min<std::int64_t>(begin + spec.tile_q, spec.q_len);
    for (std::int64_t first = 0; first < spec.kv_len; first += spec.tile_kv) {
      const std::int64_t last = std::min<std::int64_t>(first + spec.tile_kv, spec.kv_len);
      bool any = false;
      for (std::int64_t q = begin; q < end && !any; ++q) {
        for (std::int64_t k = first; k < last && !any; ++k) any = test::keeps(spec, q, k);
      }
      if (!any) continue;
      for (std::int64_t head = 0; head < spec.heads; ++head) {
        for (std::int64_t k = first; k < last; ++k) rows.insert({head / spec.group, k});
      }
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("overlapping blocks count once, the widest per row") {
  const ir::Tensor tensor{"x", 8, 100, 10, ir::DType::bf16, ir::TensorRole::input};
  const TouchedBlock a{0, 4, 1, 10, {{0, 50}}};
  const TouchedBlock b{2, 4, 1, 4, {{25, 75}}};
  // slabs 0, 1: 500; slabs 2, 3: 500 + 25 * 4; slabs 4, 5: 200
  CHECK(union_bytes({a, b}, tensor) == Approx(kElement * (2 * 500 + 2 * 600 + 2 * 200)));
  CHECK(union_bytes({b, a}, tensor) == union_bytes({a, b}, tensor));
}

TEST_CASE("interleaved slabs of equal stride are disjoint") {
  const ir::Tensor tensor{"x", 12, 10, 10, ir::DType::bf16, ir::TensorRole::intermediate};
  const TouchedBlock even{0, 6, 2, 10, {{0, 10}}};
  const TouchedBlock odd{1, 6, 2, 10, {{0, 5}}};
  CHECK(union_bytes({even, odd, odd}, tensor) == Approx(kElement * (6 * 100 + 6 * 50)));
}

TEST_CASE("dense attention touches every element of every tensor once") {
  test::AttentionSpec spec;
  spec.heads = 6;
  spec.group = 3;
  spec.q_len = 150;
  spec.kv_len = 200;
  spec.head_dim = 40;
  const ir::Pipeline p = test::attention_pipeline(spec);
  const auto touch = touched_by(std::get<ir::Kernel>(p.nodes()[0].work), p.tensors());
  CHECK(union_bytes(touch[0].read, p.tensors()[0]) == Approx(kElement * 6 * 150 * 40));
  CHECK(union_bytes(touch[1].read, p.tensors()[1]) == Approx(kElement * 2 * 200 * 40));
  CHECK(union_bytes(touch[2].read, p.tensors()[2]) == Approx(kElement * 2 * 200 * 40));
  CHECK(union_bytes(touch[3].written, p.tensors()[3]) == Approx(kElement * 6 * 150 * 40));
}

TEST_CASE("touched KV tiles equal those of a walk over all items") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    test::Draw draw(seed);
    const test::AttentionSpec spec = test::random_attention(draw);
    const ir::Pipeline p = test::attention_pipeline(spec);
    const auto touch = touched_by(std::get<ir::Kernel>(p.nodes()[0].work), p.tensors());
    INFO("seed " << seed);
    CHECK(union_bytes(touch[1].read, p.tensors()[1]) == Approx(kElement * spec.head_dim * static_cast<double>(visited_keys(spec).size())));
  }
}

TEST_CASE("what L2 keeps does not cross to HBM") {
  test::AttentionSpec spec;
  spec.heads = 1;
  spec.q_len = 100;
  spec.kv_len = 300;
  spec.group = 1;
  const double q = 100 * 64 * kElement;
  const double kv = 2 * 300 * 64 * kElement;
  const ir::Pipeline p = test::attention_pipeline(spec);
  const auto hbm = [&](std::int64_t l2_bytes, L2Start start) { return compute_traffic(p, Bytes(l2_bytes), start).whole.hbm_bytes; };
  CHECK(hbm(0, L2Start::cold) == Approx(q + kv + q));
  CHECK(hbm(1 << 20, L2Start::cold) == Approx(q + kv));  // the output stays dirty in L2
  CHECK(hbm(5000, L2Start::cold) == Approx(q + kv + q - 5000));
  CHECK(hbm(0, L2Start::warm) == Approx(q + kv + q));
  CHECK(hbm(50000, L2Start::warm) == Approx(q + kv + q - 50000));
  CHECK(hbm(1 << 20, L2Start::warm) == 0);
}

TEST_CASE("partial outputs beyond L2 are written and read back") {
  test::AttentionSpec spec;
  spec.heads = 1;
  spec.q_len = 64;
  spec.kv_len = 256;
  spec.splits = 4;
  const double inputs = (64 + 2 * 256) * 64 * kElement;
  const double partial = 4 * 64 * 64 * 4;
  const double output = 64 * 64 * kElement;
  const ir::Pipeline p = test::attention_pipeline(spec);
  const PipelineTraffic none = compute_traffic(p, Bytes(0), L2Start::cold);
  CHECK(none.whole.hbm_bytes == Approx(inputs + 2 * partial + output));
  CHECK(none.whole.compulsory_bytes == Approx(inputs + output));
  CHECK(none.nodes[0].hbm_bytes == Approx(inputs + partial));
  CHECK(none.nodes[1].hbm_bytes == Approx(partial + output));
  CHECK(compute_traffic(p, Bytes(1 << 20), L2Start::cold).whole.hbm_bytes == Approx(inputs));
}

}  // namespace attnsim::bounds
