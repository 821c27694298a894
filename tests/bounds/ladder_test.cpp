// SPDX-License-Identifier: Apache-2.0
// Hand counts on a chip of round numbers: 4 SMs, 1000 MHz, tensor 4096 FLOP, FP32 128, ALU 64, SFU 16, SMEM 128 B, L2 port 64 B per
// clock and SM, L2 256 B per clock, HBM 100 GB/s. One cycle is a nanosecond.
#include <catch2/catch.hpp>

#include "sim/bounds/bounds.h"
#include "tests/bounds/rungs.h"
#include "tests/support/random_pipeline.h"

namespace attnsim {

namespace {

using test::at;

std::string limiter(const Ladder& ladder, Rung rung) {
  return ladder.limiter[static_cast<std::size_t>(rung)];
}

test::AttentionSpec ragged_causal() {
  test::AttentionSpec spec;
  spec.heads = 4;
  spec.group = 2;
  spec.q_len = 200;
  spec.kv_len = 200;
  spec.head_dim = 60;
  spec.head_dim_padded = 64;
  spec.upper = 0;
  return spec;
}

test::AttentionSpec square(std::int64_t heads, std::int64_t length) {
  test::AttentionSpec spec;
  spec.heads = heads;
  spec.q_len = length;
  spec.kv_len = length;
  return spec;
}

}  // namespace

TEST_CASE("useful work of causal attention follows the card's formulas") {
  // 4 d P FLOPs, P exps, s (2 Nq d H + 2 Nk d Hkv) bytes (this program stores no LSE), P = N (N + 1) / 2 per head.
  for (const bool specialised : {false, true}) {
    for (const int consumers : {1, 2}) {
      test::AttentionSpec spec = ragged_causal();
      spec.specialised = specialised;
      spec.consumers = consumers;
      spec.tile_q = 64 * consumers;
      const double pairs = 4 * 200.0 * 201.0 / 2;
      const Bounds b = compute_bounds(test::attention_pipeline(spec), test::round_chip(), {});
      CHECK(b.counts.useful_tensor_flops == Approx(4 * 60 * pairs));
      CHECK(b.counts.useful_exp_count == Approx(pairs));
      CHECK(b.counts.hbm_bytes == Approx(2.0 * (2 * 200 * 60 * 4 + 2 * 200 * 60 * 2)));
      CHECK(at(b.ladder, Rung::flops) == Approx(4 * 60 * pairs / (4 * 4096) / 1e3));
    }
  }
}

TEST_CASE("padded work counts whole tiles and copies count what each item reads") {
  const Bounds b = compute_bounds(test::attention_pipeline(ragged_causal()), test::round_chip(), {});
  const double tiles = 4 * (1 + 2 + 3 + 4);  // causal, 200 rows in tiles of 64, four heads
  CHECK(b.counts.tensor_flops == Approx(tiles * 4 * 64 * 64 * 64));
  CHECK(b.counts.exp_count == Approx(tiles * (64 * 64 + 64)));
  const double q_and_o = 2.0 * 4 * 2 * 200 * 60;
  const double kv_rows = 64 + 128 + 192 + 200;  // visited by the four row tiles of a head
  CHECK(b.counts.l2_bytes == Approx(q_and_o + 4 * 2 * kv_rows * 60 * 2));
}

TEST_CASE("the roofline of a long dense problem is set by tensor pipes or by exps") {
  test::AttentionSpec spec = square(8, 512);
  spec.head_dim = 128;
  spec.head_dim_padded = 128;
  Chip chip = test::round_chip();
  chip.sm.sfu_lanes = 64;
  chip.sm.alu_lanes = 256;
  chip.sm.fp32_lanes = 256;
  chip.hbm.bandwidth_gb_per_s = 1000;
  const double pairs = 8.0 * 512 * 512;
  Bounds b = compute_bounds(test::attention_pipeline(spec), chip, {});
  CHECK(at(b.ladder, Rung::roofline) == Approx(4 * 128 * pairs / (4 * 4096) / 1e3));
  CHECK(limiter(b.ladder, Rung::roofline) == "tensor");

  chip.sm.sfu_lanes = 4;
  b = compute_bounds(test::attention_pipeline(spec), chip, {});
  const double reciprocals = 8 * 512 * 4;  // one per row, held by four lanes
  CHECK(at(b.ladder, Rung::roofline) == Approx((pairs + reciprocals) / (4 * 4) / 1e3));
  CHECK(limiter(b.ladder, Rung::roofline) == "sfu");
}

TEST_CASE("the roofline of one query is set by L2 or HBM bytes") {
  test::AttentionSpec spec = square(8, 512);
  spec.q_len = 1;
  const double inputs = 2.0 * 8 * (64 + 2 * 512 * 64);
  const double output = 2.0 * 8 * 64;
  Chip chip = test::round_chip();
  Bounds b = compute_bounds(test::attention_pipeline(spec), chip, {});
  CHECK(at(b.ladder, Rung::roofline) == Approx(inputs / 100e3));  // the output stays in L2
  CHECK(limiter(b.ladder, Rung::roofline) == "hbm");
  chip.hbm.bandwidth_gb_per_s = 1e6;
  b = compute_bounds(test::attention_pipeline(spec), chip, {});
  CHECK(at(b.ladder, Rung::roofline) == Approx((inputs + output) / 256 / 1e3));
  CHECK(limiter(b.ladder, Rung::roofline) == "l2");
}

TEST_CASE("exps move to FMA lanes where the chip allows it") {
  const test::AttentionSpec spec = square(8, 512);
  Chip chip = test::round_chip();
  chip.sm.sfu_lanes = 4;
  chip.sm.fp32_lanes = 1024;
  chip.sm.alu_lanes = 1024;
  chip.hbm.bandwidth_gb_per_s = 1e6;
  const double on_sfu = at(compute_bounds(test::attention_pipeline(spec), chip, {}).ladder, Rung::roofline);
  chip.sm.exp_on_fma = true;
  const double shared = at(compute_bounds(test::attention_pipeline(spec), chip, {}).ladder, Rung::roofline);
  CHECK(on_sfu >= 8.0 * 512 * 512 / (4 * 4) / 1e3);
  CHECK(shared < 0.5 * on_sfu);
}

TEST_CASE("without a matrix product the flops rung counts element-wise work on FP32 lanes") {
  const Bounds b = compute_bounds(test::elementwise_pipeline(3, 100, 64, 32), test::round_chip(), {});
  const double elements = 3 * 100 * 64;
  CHECK(at(b.ladder, Rung::flops) == Approx(elements / (4 * 128) / 1e3));  // one multiply each
  CHECK(limiter(b.ladder, Rung::flops) == "fp32");
  CHECK(at(b.ladder, Rung::roofline) == Approx(elements * 4 / 1e5));  // read from HBM at 100 GB/s, written to L2
}

TEST_CASE("the tile rung runs whole tiles at the measured tensor ceiling") {
  test::AttentionSpec spec = ragged_causal();
  spec.head_dim = 128;
  spec.head_dim_padded = 128;
  spec.specialised = true;
  Chip chip = test::round_chip();
  chip.tensor.efficiency = 0.5;
  chip.hbm.bandwidth_gb_per_s = 1e6;
  chip.l2.bandwidth_bytes_per_clk = 1e6;
  chip.sm.l2_port_bytes_per_clk = 1e6;
  chip.sm.sfu_lanes = 1024;
  chip.sm.alu_lanes = 1024;
  chip.sm.fp32_lanes = 1024;
  chip.sm.issue_per_clk = 1024;
  chip.sm.smem_bytes_per_clk = 4096;
  const Bounds b = compute_bounds(test::attention_pipeline(spec), chip, {});
  CHECK(at(b.ladder, Rung::tile) == Approx(40 * 4.0 * 64 * 64 * 128 / (4 * 4096 * 0.5) / 1e3));
  CHECK(limiter(b.ladder, Rung::tile) == "tensor");
}

TEST_CASE("the schedule rung adds the uneven last wave") {
  // Five equal items on four SMs: two rounds, where the tile rung sees five quarters.
  test::AttentionSpec spec = square(5, 64);
  spec.kv_len = 1024;
  spec.specialised = true;
  Chip chip = test::round_chip();
  chip.sm.sfu_lanes = 1;
  chip.sm.max_ctas = 1;
  const double one_trip = 64 * 64 + 4 * 64;        // exps; row vectors are held by four lanes
  const double one_item = 16 * one_trip + 4 * 64;  // and one reciprocal per row
  for (const auto policy :
       {ir::GridPolicy::one_item_per_cta, ir::GridPolicy::persistent_static, ir::GridPolicy::persistent_dynamic, ir::GridPolicy::lists}) {
    spec.grid.policy = policy;
    spec.grid.lists = {{0, 4}, {1}, {2}, {3}};
    const Bounds b = compute_bounds(test::attention_pipeline(spec), chip, {});
    CHECK(at(b.ladder, Rung::tile) == Approx(5 * one_item / 4 / 1e3));
    CHECK(at(b.ladder, Rung::schedule) >= 2 * one_item / 1e3);
    CHECK(at(b.ladder, Rung::schedule) < 3 * one_item / 1e3);
  }
}

TEST_CASE("a static grid is bound by the CTA that its own item list favours least") {
  // Causal, four row tiles of 1 .. 4 trips, two heads, on two SMs. In grid order CTA 0 gets tiles 0, 2, 0, 2 and CTA 1 gets 1, 3, 1, 3.
  test::AttentionSpec spec = square(2, 256);
  spec.upper = 0;
  spec.mask_all_tiles = true;
  spec.grid.policy = ir::GridPolicy::persistent_static;
  Chip chip = test::round_chip();
  chip.sm.count = 2;
  chip.sm.max_ctas = 1;
  chip.sm.sfu_lanes = 1;
  const double one_trip = 64 * 64 + 4 * 64;
  const double per_item = 4 * 64;
  const double others = at(compute_bounds(test::attention_pipeline(spec), chip, {}).ladder, Rung::schedule);
  CHECK(others >= (2 * (2 + 4) * one_trip + 4 * per_item) / 1e3);
  CHECK(at(compute_bounds(test::attention_pipeline(spec), chip, {}).ladder, Rung::tile) ==
        Approx((2 * (1 + 2 + 3 + 4) * one_trip + 8 * per_item) / 2 / 1e3));
}

TEST_CASE("launches add to the schedule rung and can be switched off") {
  test::AttentionSpec spec = square(2, 512);
  spec.splits = 2;
  Chip chip = test::round_chip();
  const ir::Pipeline p = test::attention_pipeline(spec);
  const double bare = at(compute_bounds(p, chip, {}).ladder, Rung::schedule);
  chip.launch.kernel_us = 5;
  chip.launch.dependent_kernel_us = 2;
  CHECK(at(compute_bounds(p, chip, {}).ladder, Rung::schedule) == Approx(bare + 7));
  Conditions inside;
  inside.include_launch = false;
  CHECK(at(compute_bounds(p, chip, inside).ladder, Rung::schedule) == Approx(bare + 2));
  Conditions chained;
  chained.chained = true;
  CHECK(at(compute_bounds(p, chip, chained).ladder, Rung::schedule) == Approx(bare + 4));
  chip.launch.stream_kernel_us = 3;
  Conditions plain;
  plain.launches = LaunchKind::plain;
  CHECK(at(compute_bounds(p, chip, plain).ladder, Rung::schedule) == Approx(bare + 8));
  Conditions without;
  without.without = {"launch"};
  CHECK(at(compute_bounds(p, chip, without).ladder, Rung::schedule) == Approx(bare));
}

TEST_CASE("kernels of one stream add up") {
  test::AttentionSpec spec = square(2, 512);
  spec.splits = 2;
  const Bounds b = compute_bounds(test::attention_pipeline(spec), test::round_chip(), {});
  REQUIRE(b.kernel_ladder.size() == 2);
  CHECK(at(b.ladder, Rung::schedule) == Approx(at(b.kernel_ladder[0], Rung::schedule) + at(b.kernel_ladder[1], Rung::schedule)));
}

TEST_CASE("every rung runs at the highest clock of the policy") {
  const test::AttentionSpec spec = square(2, 512);
  Conditions locked;
  locked.clock = ClockPolicy::locked;
  locked.locked_mhz = 500;
  const ir::Pipeline p = test::attention_pipeline(spec);
  const double boost = at(compute_bounds(p, test::round_chip(), {}).ladder, Rung::flops);
  CHECK(at(compute_bounds(p, test::round_chip(), locked).ladder, Rung::flops) == Approx(2 * boost));
}

TEST_CASE("transfers load the fastest link and host gaps only the schedule") {
  ir::PipelineBuilder builder("ring");
  builder.add(ir::Transfer{"send", Bytes(1000000), ir::TransferPattern::p2p, 2});
  builder.add(ir::HostGap{"wait", Nanoseconds(3000)});
  builder.add(ir::Transfer{"gather", Bytes(1000000), ir::TransferPattern::all_gather, 4});
  Chip chip = test::round_chip();
  chip.links = {{"slow", 1, 0}, {"fast", 100, 0}};
  const Bounds b = compute_bounds(builder.build(), chip, {});
  CHECK(at(b.ladder, Rung::roofline) == Approx(10 + 7.5));
  CHECK(limiter(b.ladder, Rung::roofline) == "link");
  CHECK(at(b.ladder, Rung::schedule) == Approx(10 + 3 + 7.5));
}

}  // namespace attnsim
