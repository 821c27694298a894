// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <chrono>

#include "sim/core/error.h"
#include "tests/support/chips.h"
#include "tests/support/problem.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using test::problem;

namespace {

ir::Pipeline lowered(const char* variant_name, const Problem& p, const char* schedule, const Chip& chip,
                     std::vector<ExtraKernel> extras = {}) {
  return lower(variant(variant_name), p, load_schedule(schedule), chip, extras);
}

const ir::Kernel& kernel(const ir::Pipeline& pipeline, const std::string& name) {
  for (const ir::Node& node : pipeline.nodes()) {
    if (node.name() == name) return std::get<ir::Kernel>(node.work);
  }
  FAIL("no kernel " << name);
  return std::get<ir::Kernel>(pipeline.nodes()[0].work);
}

std::vector<std::string> kernel_names(const ir::Pipeline& pipeline) {
  std::vector<std::string> names;
  for (const ir::Node& node : pipeline.nodes()) names.push_back(node.name());
  return names;
}

std::int64_t items(const ir::Pipeline& pipeline, const std::string& name) {
  return ir::ItemSequence(kernel(pipeline, name)).size();
}

std::int64_t kept(const ir::Kernel& k) {
  std::int64_t sum = 0;
  for (const ir::ItemFamily& family : k.families) {
    for (const ir::RowTile& tile : family.tiles) sum += family.slab_count * tile.kept;
  }
  return sum;
}

std::string complaint(const char* variant_name, const Problem& p, const char* schedule, const Chip& chip) {
  try {
    (void)lowered(variant_name, p, schedule, chip);
  } catch (const ConfigError& error) {
    return error.issues().front().pointer + ": " + error.issues().front().problem;
  }
  return "";
}

Params window(std::int64_t left) {
  return {{"left", left}};
}

}  // namespace

TEST_CASE("FA2 decode packs a group into one CTA per KV head only without a window") {
  const Chip chip = test::a100();
  // 64 x 8 row tiles fill 432 > 172.8 slots: no split.
  CHECK(items(lowered("causal", problem(64, 32, 8, 1, 1024, 128), "splitkv-decode", chip), "attention") == 64 * 8);
  CHECK(items(lowered("sliding-window", problem(64, 32, 8, 1, 1024, 128, window(128)), "splitkv-decode", chip), "attention") == 64 * 32);
  CHECK(items(lowered("causal", problem(4, 1, 1, 1, 32768, 128), "splitkv-decode", chip), "attention") == 4);
  CHECK(items(lowered("sliding-window", problem(1024, 64, 1, 1, 64, 128, window(128)), "splitkv-decode", test::l40s()), "attention") ==
        65536);
}

TEST_CASE("FA2 decode splits and combines, and with several KV heads and entries it also regroups") {
  const Chip chip = test::a100();
  // 1 x 8 row tiles, 64 blocks of 128 keys: 22 splits (splits_test.cpp); 4 rows of head_dim 128 per combine CTA.
  const ir::Pipeline alone = lowered("causal", problem(1, 32, 8, 1, 8192, 128), "splitkv-decode", chip);
  CHECK(kernel_names(alone) == std::vector<std::string>{"attention", "combine"});
  CHECK(items(alone, "attention") == 8 * 22);
  CHECK(items(alone, "combine") == 8);
  const ir::Pipeline two = lowered("causal", problem(2, 32, 8, 1, 8192, 128), "splitkv-decode", chip);
  CHECK(kernel_names(two) == std::vector<std::string>{"regroup_q", "attention", "combine", "regroup_o"});
  // A group of 80 heads takes two tiles of 64 rows.
  CHECK(items(lowered("causal", problem(256, 80, 1, 1, 64, 128), "splitkv-decode", chip), "attention") == 256 * 2);
}

TEST_CASE("FA3 decode splits by the whole key length even under a window, which leaves most splits empty") {
  const Problem p = problem(1, 8, 1, 1, 131072, 128, window(1023));
  const ir::Pipeline pipeline = lowered("sliding-window", p, "splitkv-decode-sm90", test::h100());
  CHECK(items(pipeline, "attention") == 32);
  std::int64_t empty = 0;
  for (const ir::RowTile& tile : kernel(pipeline, "attention").families[0].tiles) empty += tile.trips() == 0 ? 1 : 0;
  // The window of 1024 keys ends on a tile border: 8 tiles of 128 keys, one per split.
  CHECK(empty == 32 - 8);
  CHECK(kernel(pipeline, "combine").families[0].tiles[0].peers == 8);  // the combine skips the others
}

TEST_CASE("FA4's Hopper decode works on a tile in splits without keys, and its combine kernel has CTAs for the rows of the whole batch") {
  // Three KV tiles of 64 keys on 32 splits; 8 rows per entry, a CTA of the combine kernel has 1024 / 512 of them.
  const ir::Pipeline pipeline = lowered("causal", problem(5, 8, 1, 1, 150, 512), "fa4-sm90-d512-decode", test::h100());
  CHECK(items(pipeline, "attention") == 5 * 32);
  std::int64_t beyond = 0;
  for (const ir::RowTile& tile : kernel(pipeline, "attention").families[0].tiles) {
    CHECK(tile.trips() == 1);
    if (tile.kept > 0) continue;
    CHECK(tile.runs[0].first == 3);  // the tile behind the last key
    ++beyond;
  }
  CHECK(beyond == 32 - 3);
  const ir::Kernel& combine = kernel(pipeline, "combine");
  std::int64_t working = 0;
  for (const ir::RowTile& tile : combine.families[0].tiles) {
    CHECK(tile.peers == (tile.flag ? 0 : 3));
    working += tile.flag ? 0 : 1;
  }
  CHECK(working == 8 / 2);
  CHECK(items(pipeline, "combine") == 5 * (5 * 8 / 2));
}

TEST_CASE("TensorRT-LLM's generation kernel visits 128 keys at a time, whatever part of them exists") {
  const auto trips = [](std::int64_t kv_len, std::int64_t d) {
    const ir::Pipeline pipeline = lowered("causal", problem(1, 8, 1, 1, kv_len, d), "trtllm-decode-sm100", test::b200());
    return kernel(pipeline, "attention").families[0].tiles[0].trips();
  };
  CHECK(trips(1, 128) == 1);
  CHECK(trips(1, 256) == 128 / 64);
  CHECK(trips(1, 512) == 128 / 32);
  CHECK(trips(130, 512) == 256 / 32);
  CHECK(trips(256, 512) == 256 / 32);
}

TEST_CASE("warpgroups that share O's columns score every tile each") {
  const ir::Pipeline pipeline = lowered("causal", problem(1, 1, 1, 64, 64, 512), "fa4-sm90-d512", test::h100());
  std::int64_t scored = 0;
  std::int64_t stored = 0;
  const ir::Program& p = kernel(pipeline, "attention").program;
  for (const ir::Agent& agent : p.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.role == "qk" && op.kind == ir::OpKind::mma) ++scored;
        if (op.role != "store" || op.kind != ir::OpKind::store) continue;
        const ir::AxisId cols = p.tiles[static_cast<std::size_t>(op.in.front())].cols;
        if (cols != ir::kUnit) stored += p.axes[static_cast<std::size_t>(cols)].valid;
      }
    }
  }
  CHECK(scored == 2);
  CHECK(stored == 512);
}

TEST_CASE("the last CTA's reduction is one kernel with as many CTAs as the free SMs allow") {
  const ir::Pipeline pipeline = lowered("causal", problem(1, 32, 8, 1, 65536, 128), "splitkv-decode-lastcta", test::b200());
  CHECK(kernel_names(pipeline) == std::vector<std::string>{"attention"});
  CHECK(items(pipeline, "attention") == 8 * 18);
}

TEST_CASE("TensorRT-LLM's splits count the keys of the window, and packed groups choose the rows of a tile") {
  // 1024 + 255 keys: three splits of 512 for each of 8 KV heads.
  CHECK(items(lowered("sliding-window", problem(1, 32, 8, 1, 131072, 128, window(1023)), "trtllm-decode-sm100", test::b200()),
              "attention") == 8 * 3);
  const auto rows = [](std::int64_t group) {
    const ir::Pipeline p = lowered("causal", problem(1, group, 1, 1, 4096, 128), "trtllm-decode-sm100", test::b200());
    return kernel(p, "attention").program.axes;
  };
  const auto padded = [](const std::vector<ir::Axis>& axes) {
    int most = 0;
    for (const ir::Axis& axis : axes) most = axis.kind == ir::AxisKind::item_rows ? std::max(most, axis.padded) : most;
    return most;
  };
  CHECK(padded(rows(5)) == 16);
  CHECK(padded(rows(17)) == 32);
  CHECK(padded(rows(48)) == 64);
}

TEST_CASE("accumulators of two query tiles fill tensor memory at head_dim 128") {
  const auto kib = [](std::int64_t d, const char* schedule) {
    return lowered("dense", problem(1, 8, 8, 512, 512, d), schedule, test::b200());
  };
  // S and O of two tiles: 4 x 128 lanes x 128 columns x 4 bytes; P lies in S.
  CHECK(kernel(kib(128, "fa4-sm100"), "attention").program.tmem_bytes() == 4 * 128 * 128 * 4);
  CHECK(kernel(kib(64, "fa4-sm100"), "attention").program.tmem_bytes() == 2 * 128 * (128 + 64) * 4);
  // One tile with two S of 128 columns, and O of 256.
  CHECK(kernel(kib(256, "trtllm-prefill-sm100"), "attention").program.tmem_bytes() == 128 * (2 * 128 + 256) * 4);
  Chip half = test::b200();
  half.sm.tmem_kib = 128;
  CHECK(complaint("dense", problem(1, 8, 8, 512, 512, 128), "fa4-sm100", half).find("needs 256 KiB of tensor memory") != std::string::npos);
}

TEST_CASE("FA4 computes an eighth of its exps on the FP32 lanes, and none where the SFU is twice as fast") {
  const auto polynomial = [](const Chip& chip) {
    const ir::Pipeline p = lowered("dense", problem(1, 2, 2, 512, 512, 128), "fa4-sm100", chip);
    double part = 0;
    for (const ir::Agent& agent : kernel(p, "attention").program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) part = std::max(part, op.polynomial);
      }
    }
    return part;
  };
  Chip ultra = test::b200();
  ultra.isa = "sm_103";
  CHECK(polynomial(test::b200()) == 0.125);
  CHECK(polynomial(ultra) == 0);
}

namespace {

ir::Op rescale_of(const Schedule& schedule, std::int64_t kv_len) {
  const ir::Pipeline p = lower(variant("dense"), problem(1, 2, 2, 512, kv_len, 128), schedule, test::b200(), {});
  for (const ir::Agent& agent : kernel(p, "attention").program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.role == "rescale" && op.fn == ir::Fn::multiply) return op;
      }
    }
  }
  return {};
}

}  // namespace

TEST_CASE("O is rescaled as often as the maximum of one of a warp's rows moves") {
  Schedule schedule = load_schedule("cutlass-fmha-sm100");
  schedule.rescale_rows = 1;
  // New maxima in n tiles in no order: the n-th harmonic number, the first of them in the first trip (here of 4 and of 2).
  CHECK(rescale_of(schedule, 4 * 128).share == Approx((1 / 2.0 + 1 / 3.0 + 1 / 4.0) / 3));
  schedule.rescale_rows = 2;
  CHECK(rescale_of(schedule, 2 * 128).share == Approx(1 - 0.5 * 0.5));
  schedule.rescale_rows = 0;
  CHECK(rescale_of(schedule, 4 * 128).share == schedule.rescale_share);
}

TEST_CASE("128 columns of O by 16 with one read ahead wait for four and a half reads") {
  CHECK(rescale_of(load_schedule("cutlass-fmha-sm100"), 512).tmem_rounds == 4.5);
  CHECK(rescale_of(load_schedule("triton-fa-ws-sm100"), 512).tmem_rounds == 1);
}

TEST_CASE("up to 128 rows run with one query tile") {
  const auto agents = [](std::int64_t q) {
    return kernel(lowered("dense", problem(1, 8, 8, q, 512, 64), "fa4-sm100-varlen", test::b200()), "attention").program.agents.size();
  };
  CHECK(agents(128) == 4);  // load, mma, softmax, correction
  CHECK(agents(129) == 5);
}

TEST_CASE("a box of TMA is as wide as the swizzle that divides a tile's rows") {
  const auto bytes = [](std::int64_t d, const char* schedule, const Chip& chip) {
    return kernel(lowered("dense", problem(1, 8, 8, 512, 512, d), schedule, chip), "attention").request_bytes;
  };
  CHECK(bytes(64, "fa4-sm100", test::b200()) == 0);   // 128 bytes: a whole line
  CHECK(bytes(128, "fa4-sm100", test::b200()) == 0);  // 256
  CHECK(bytes(96, "fa4-sm100", test::b200()) == 64);  // 192
  CHECK(bytes(80, "fa4-sm100", test::b200()) == 32);  // 160
  CHECK(bytes(72, "fa4-sm100", test::b200()) == 32);  // in a tile of 80 columns
  CHECK(bytes(96, "fa2-sm80", test::a100()) == 0);    // no TMA
}

TEST_CASE("consumers that take turns at the exponentials hand them on once their P is there") {
  const ir::Pipeline pipeline = lowered("dense", problem(1, 8, 8, 512, 512, 128), "cudnn-sm90", test::h100());
  const ir::Program& program = kernel(pipeline, "attention").program;
  REQUIRE(program.agents.size() == 3);
  std::vector<ir::TokenId> awaited, signalled;
  for (std::size_t a = 1; a < program.agents.size(); ++a) {
    bool subtracted = false;
    bool converted = false;
    for (const ir::Op& op : program.agents[a].sections[1]) {
      subtracted = subtracted || op.fn == ir::Fn::exp2;
      converted = converted || op.role == "convert_p";
      if (op.kind == ir::OpKind::await && program.tokens[static_cast<std::size_t>(op.token)].name.starts_with("exp2_turn")) {
        awaited.push_back(op.token);
        converted = false;
      }
      if (op.role == "order") {
        CHECK(subtracted);
        CHECK(converted);
        signalled.push_back(op.token);
      }
    }
  }
  REQUIRE(awaited.size() == 2);
  REQUIRE(signalled.size() == 2);
  CHECK(signalled[0] == awaited[1]);
  CHECK(signalled[1] == awaited[0]);
  CHECK(program.tokens[static_cast<std::size_t>(awaited[0])].initial_count +
            program.tokens[static_cast<std::size_t>(awaited[1])].initial_count ==
        1);
}

TEST_CASE("SMEM of the tiles is that of the kernels") {
  const auto kib = [](const ir::Pipeline& p) { return static_cast<double>(kernel(p, "attention").program.smem_bytes()) / 1024; };
  // Q + K + V in 16 bit: (64 + 128 + 128) x 128 x 2
  CHECK(kib(lowered("causal", problem(1, 8, 8, 512, 512, 128), "fa2-sm80-paged", test::a100())) == 80);
  CHECK(kib(lowered("causal", problem(1, 8, 8, 512, 512, 128), "fa2-sm80", test::a100())) == 64);
  // 128 rows of Q and two stages of 176 keys for K and V.
  CHECK(kib(lowered("dense", problem(1, 8, 8, 512, 512, 128), "fa3-sm90", test::h100())) == (128 + 2 * 2 * 176) * 128 * 2 / 1024.0);
  // 192 rows of Q, two stages of 192 keys, P of 192 x 192.
  CHECK(kib(lowered("dense", problem(1, 8, 8, 512, 512, 64), "fa3-sm90", test::h100())) ==
        (192 * 64 + 4 * 192 * 64 + 192 * 192) * 2 / 1024.0);
}

TEST_CASE("accumulation in FP16 is for FP16 operands, and nothing that chooses by time chooses it") {
  const Schedule f16 = load_schedule("leetcuda-sm80");
  Problem p = problem(1, 4, 4, 512, 512, 64);
  CHECK_THROWS_AS(lower(variant("dense"), p, f16, test::a100()), ConfigError);
  p.dtype = ir::DType::f16;
  CHECK_NOTHROW(lower(variant("dense"), p, f16, test::a100()));
  for (const Schedule& s : legal_schedules(variant("dense"), p, test::a100())) CHECK_FALSE(s.accumulates_f16());
}

TEST_CASE("a streamed kernel's SMEM does not grow with head_dim") {
  const auto smem = [](std::int64_t d) {
    return kernel(lowered("dense", problem(1, 8, 8, 512, 512, d), "ffpa-sm80", test::a100()), "attention").program.smem_bytes();
  };
  // A slice of 16 columns in 16 bit: 128 rows of Q, four stages of 128 keys for K and for V.
  CHECK(smem(320) == (128 + 2 * 4 * 128) * 16 * 2);
  CHECK(smem(1024) == smem(320));
}

TEST_CASE("kept pairs of a kernel equal the problem's, packed or not, split or not") {
  // Causal, bottom-right: query q keeps kv_len - q_len + q + 1 keys.
  const std::int64_t n = 1000;
  const std::int64_t m = 300;
  const std::int64_t pairs = m * (n - m) + m * (m + 1) / 2;
  for (const char* name : {"fa2-sm80", "fa2-sm80-paged", "fused-generic", "naive-unfused"}) {
    const ir::Pipeline p = lowered("causal", problem(2, 8, 2, m, n, 64), name, test::a100());
    CHECK(kept(kernel(p, std::string(name) == "naive-unfused" ? "softmax" : "attention")) == 2 * 8 * pairs);
  }
  for (const char* name : {"fa3-sm90", "fa3-sm90-paged", "splitkv-decode-sm90"}) {
    CHECK(kept(kernel(lowered("causal", problem(2, 8, 2, m, n, 64), name, test::h100()), "attention")) == 2 * 8 * pairs);
  }
}

TEST_CASE("the causal FA3 grid works through sections of heads whose K and V fit 32 MiB, longest tiles first") {
  // 16384 tokens x 256 x 2 bytes = 8 MiB per KV head: 4 heads, times the 4 query heads of a group.
  const ir::Pipeline p = lowered("causal", problem(1, 32, 8, 16384, 16384, 128), "fa3-sm90", test::h100());
  const ir::Kernel& k = kernel(p, "attention");
  CHECK(k.grid.section_slabs == 16);
  const ir::ItemSequence sequence(k);
  CHECK(sequence.at(0).tile->row_begin == 16384 - 128);
  CHECK(sequence.at(1).slab == 1);
  CHECK(sequence.at(16).slab == 0);
  CHECK(sequence.at(16 * 128).slab == 16);
  const ir::Pipeline full = lowered("dense", problem(1, 32, 8, 16384, 16384, 128), "fa3-sm90", test::h100());
  CHECK(ir::ItemSequence(kernel(full, "attention")).at(1).tile->row_begin == 128);
}

TEST_CASE("FA2's grid runs over batch entries before heads") {
  const ir::Pipeline p = lowered("dense", problem(3, 4, 4, 128, 128, 128), "fa2-sm80", test::a100());
  const ir::ItemSequence sequence(kernel(p, "attention"));
  REQUIRE(sequence.size() == 12);
  CHECK(sequence.at(0).slab == 0);
  CHECK(sequence.at(1).slab == 4);
  CHECK(sequence.at(2).slab == 8);
  CHECK(sequence.at(3).slab == 1);
}

TEST_CASE("a chip with little SMEM gets the next tile rule that fits") {
  const ir::Pipeline large = lowered("dense", problem(1, 1, 1, 512, 512, 256), "fa2-sm80", test::a100());
  const ir::Pipeline small = lowered("dense", problem(1, 1, 1, 512, 512, 256), "fa2-sm80", test::l40s());
  CHECK(items(large, "attention") == 4);
  CHECK(items(small, "attention") == 8);
}

TEST_CASE("the KV-cache write is a kernel of one CTA per new token before attention") {
  const ir::Pipeline p = lowered("causal", problem(4, 8, 2, 100, 100, 128), "fa2-sm80", test::a100(), {ExtraKernel::kv_cache_write});
  CHECK(kernel_names(p) == std::vector<std::string>{"kv_cache_write", "attention"});
  CHECK(items(p, "kv_cache_write") == 400);
  CHECK(kernel(p, "kv_cache_write").program.threads() == 2 * 128);
}

TEST_CASE("where a page holds its tokens head by head, a warp of the KV-cache write copies one head after another") {
  // 512 threads are 16 warps: 40 heads of 128 take rounds of 16, 16 and 8 heads.
  const ir::Pipeline p =
      lowered("causal", problem(4, 40, 40, 128, 128, 128), "trtllm-prefill-sm100", test::b200(), {ExtraKernel::kv_cache_write});
  const ir::Program& program = kernel(p, "kv_cache_write").program;
  CHECK(program.threads() == 512);
  for (const std::string role : {"write_k", "write_v"}) {
    std::vector<int> begins;
    std::vector<int> widths;
    for (const ir::Op& op : program.agents.front().sections.front()) {
      if (!op.role.starts_with(role) || op.kind != ir::OpKind::load) continue;  // write_k, write_k1, write_k2
      begins.push_back(op.access.column_begin);
      widths.push_back(program.padded(program.tiles[static_cast<std::size_t>(op.out.front())].cols));
    }
    CHECK(begins == std::vector<int>{0, 16 * 128, 32 * 128});
    CHECK(widths == std::vector<int>{16 * 128, 16 * 128, 8 * 128});
  }
}

TEST_CASE("an illegal schedule says what does not fit, and what would") {
  const Problem p = problem(1, 8, 8, 512, 512, 128);
  CHECK(complaint("dense", p, "fa3-sm90", test::a100()).find("does not run on a100") != std::string::npos);
  CHECK(complaint("dense", problem(1, 8, 8, 512, 512, 257), "fa2-sm80", test::a100()).find("/shape/head_dim: ") == 0);
  Chip small = test::a100();
  small.sm.smem_per_cta_kib = 40;
  // The smallest tile: (64 + 64 + 64) x 128 x 2 bytes.
  CHECK(complaint("dense", p, "fa2-sm80", small).find("needs 48 KiB of SMEM") != std::string::npos);
  Chip bare = test::h100();
  bare.tensor.instructions = {"mma_sync"};
  CHECK(complaint("dense", p, "fa3-sm90", bare).find("needs wgmma") != std::string::npos);
  Problem f8 = p;
  f8.dtype = ir::DType::f8;
  CHECK(complaint("dense", f8, "fa2-sm80", test::a100()).find("/dtype") == 0);
  CHECK(complaint("dense", problem(1, 32, 32, 131072, 131072, 128), "naive-unfused", test::a100()).find("/shape") == 0);
}

TEST_CASE("softmax of attention written out takes a warp per row up to 1024 keys, beyond a CTA of 1024 threads") {
  const auto shape = [](std::int64_t keys) {
    const ir::Kernel k = kernel(lowered("dense", problem(1, 2, 2, 64, keys, 64), "pytorch-eager", test::a100()), "softmax");
    return std::pair(k.program.agents.front().warps, k.families.front().tiles.size());
  };
  CHECK(shape(1024) == std::pair(4, std::size_t{16}));
  CHECK(shape(1025) == std::pair(32, std::size_t{64}));
}

TEST_CASE("attention written out has one length for all, and plain scores in its backward pass") {
  Problem ragged = problem(2, 2, 2, 64, 64, 64);
  ragged.kv_len = {64, 80};
  CHECK(complaint("dense", ragged, "pytorch-eager", test::a100()).find("/shape/kv_len") == 0);
  Problem capped = problem(1, 2, 2, 64, 64, 64);
  capped.pass = Pass::backward;
  capped.score.softcap = 2;
  CHECK(complaint("dense", capped, "pytorch-eager-bwd", test::a100()).find("/score") == 0);
  Problem large = problem(1, 32, 32, 131072, 131072, 128);
  large.pass = Pass::backward;
  CHECK(complaint("dense", large, "pytorch-eager-bwd", test::a100()).find("/shape") == 0);
}

TEST_CASE("every schedule lowers wherever it is legal, and fused-generic everywhere") {
  for (const Chip& chip : {test::h100(), test::a100(), test::l40s(), test::b200(), test::systolic()}) {
    for (const std::int64_t d : {32, 64, 72, 128, 192, 256}) {
      for (const char* v : {"dense", "causal", "sliding-window"}) {
        INFO(chip.name << " " << v << " d " << d);
        std::vector<std::string> names;
        for (const Schedule& s : legal_schedules(variant(v), problem(1, 4, 2, 300, 300, d), chip)) names.push_back(s.name);
        CHECK(std::find(names.begin(), names.end(), "fused-generic") != names.end());
        CHECK_NOTHROW(default_schedule(variant(v), problem(1, 4, 2, 1, 300, d), chip));
      }
    }
  }
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 512, 512, 128), test::h100()).name == "fa3-sm90");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 1, 512, 128), test::h100()).name == "splitkv-decode-sm90");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 512, 512, 128), test::b200()).name == "fa4-sm100");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 1, 512, 128), test::b200()).name == "trtllm-decode-sm100");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 512, 512, 128), test::l40s()).name == "fa2-sm80");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 1, 512, 128), test::l40s()).name == "splitkv-decode");
  CHECK(default_schedule(variant("causal"), problem(1, 8, 8, 512, 512, 128), test::systolic()).name == "fused-generic");
  Problem latent = problem(8, 128, 1, 1, 4096, 576);
  latent.head_dim_v = 512;
  for (const auto& [chip, name] :
       {std::pair{test::b200(), "cutlass-mla-sm100"}, {test::h100(), "flashmla-sm90"}, {test::a100(), "flashinfer-mla-sm80"}})
    CHECK(default_schedule(variant("mla-decode"), latent, chip).name == name);
  Problem product;
  product.m = product.n = product.k = 1024;
  product.dtype = ir::DType::bf16;
  product.params = {{"quantize", std::string("token")}};  // for 8-bit products only
  CHECK_THROWS_WITH(default_schedule(variant("gemm"), product, test::h100()), Catch::Contains("quantize"));
}

TEST_CASE("a causal head of a million tokens keeps n (n + 1) / 2 pairs") {
  const std::int64_t n = 1 << 20;
  const auto start = std::chrono::steady_clock::now();
  const ir::Pipeline p = lowered("causal", problem(1, 32, 8, n, n, 128), "fa3-sm90", test::h100());
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  CHECK(kept(kernel(p, "attention")) == 32 * (n * (n + 1) / 2));
  WARN("lowered one million tokens in " << time.count() * 1e3 << " ms");
}

TEST_CASE("FlashAttention-3 takes one warpgroup for up to 64 packed rows, and three for more, at head_dim 64") {
  const Chip chip = test::h100();
  const auto agents = [&](std::int64_t q_len) {
    return kernel(lowered("causal", problem(2, 8, 1, q_len, 512, 64), "fa3-sm90-paged", chip), "attention").program.agents.size();
  };
  CHECK(agents(8) == 2);  // 64 rows: a producer and a consumer
  CHECK(agents(9) == 4);  // 72 rows: a producer and three consumers
}

TEST_CASE("a call that writes its whole KV cache reads it from the same memory, a decode step does not") {
  const Chip chip = test::h100();
  const auto shares = [&](std::int64_t q_len) {
    const ir::Pipeline p = lowered("causal", problem(2, 8, 2, q_len, 512, 64), "fa3-sm90-paged", chip, {ExtraKernel::kv_cache_write});
    int count = 0;
    for (const ir::Tensor& t : p.tensors()) count += t.same_memory != ir::kNone ? 1 : 0;
    return count;
  };
  CHECK(shares(512) == 2);
  CHECK(shares(1) == 0);
}

TEST_CASE("a variable-length kernel without ready metadata lays out its work tiles first") {
  const ir::Pipeline p = lowered("dense", problem(2, 8, 8, 512, 512, 64), "fa3-sm90-varlen", test::h100());
  CHECK(kernel_names(p) == std::vector<std::string>{"prepare", "attention"});
  CHECK(items(p, "prepare") == 1);
  CHECK(kernel(p, "attention").grid.programmatic_launch);
}
