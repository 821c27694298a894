// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_pipeline.h"

#include <algorithm>

#include "tests/support/attention_program.h"

namespace attnsim::test {

namespace {

using ir::Fn;
using ir::OpKind;

// Runs of visited KV tiles of one row tile, by looking at every pair.
ir::TripRuns runs_of(const AttentionSpec& spec, std::int64_t row_begin, std::int64_t rows) {
  ir::TripRuns runs;
  const std::int64_t tiles = (spec.kv_len + spec.tile_kv - 1) / spec.tile_kv;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t t = spec.descending ? tiles - 1 - i : i;
    std::int64_t kept = 0;
    for (std::int64_t q = row_begin; q < row_begin + rows; ++q) {
      for (std::int64_t k = t * spec.tile_kv; k < (t + 1) * spec.tile_kv; ++k) kept += keeps(spec, q, k) ? 1 : 0;
    }
    if (kept == 0) continue;
    const bool partial = kept < rows * spec.tile_kv;
    const int step = spec.descending ? -1 : 1;
    if (!runs.empty() && runs.back().partial == partial && runs.back().first + runs.back().count * step == t) {
      ++runs.back().count;
    } else {
      runs.push_back({t, 1, step, partial});
    }
  }
  return runs;
}

std::int64_t kept_in(const AttentionSpec& spec, const ir::RowTile& tile) {
  std::int64_t kept = 0;
  for (const ir::TripRun& run : tile.runs) {
    for (std::int64_t i = 0; i < run.count; ++i) {
      const std::int64_t t = run.first + i * run.step;
      for (std::int64_t q = tile.row_begin; q < tile.row_begin + tile.rows; ++q) {
        for (std::int64_t k = t * spec.tile_kv; k < (t + 1) * spec.tile_kv; ++k) kept += keeps(spec, q, k) ? 1 : 0;
      }
    }
  }
  return kept;
}

// Trips dealt to the splits in contiguous pieces of equal length.
std::vector<ir::TripRuns> split_runs(const ir::TripRuns& runs, int splits) {
  std::int64_t trips = 0;
  for (const ir::TripRun& run : runs) trips += run.count;
  const std::int64_t share = (trips + splits - 1) / splits;
  std::vector<ir::TripRuns> out(static_cast<std::size_t>(splits));
  std::int64_t done = 0;
  for (const ir::TripRun& run : runs) {
    for (std::int64_t i = 0; i < run.count;) {
      const std::int64_t take = std::min(run.count - i, share - done % share);
      out[static_cast<std::size_t>(done / share)].push_back({run.first + i * run.step, take, run.step, run.partial});
      i += take;
      done += take;
    }
  }
  return out;
}

std::vector<ir::RowTile> row_tiles(const AttentionSpec& spec) {
  std::vector<ir::RowTile> tiles;
  for (std::int64_t row = 0; row < spec.q_len; row += spec.tile_q) {
    const std::int64_t rows = std::min<std::int64_t>(spec.tile_q, spec.q_len - row);
    const auto pieces = split_runs(runs_of(spec, row, rows), spec.splits);
    for (int split = 0; split < spec.splits; ++split) {
      ir::RowTile tile;
      tile.row_begin = row;
      tile.rows = rows;
      tile.split = split;
      tile.runs = pieces[static_cast<std::size_t>(split)];
      tile.kept = kept_in(spec, tile);
      tiles.push_back(std::move(tile));
    }
  }
  return tiles;
}

std::vector<ir::ItemFamily> families(const AttentionSpec& spec, std::vector<ir::RowTile> tiles) {
  if (!spec.heads_as_families) return {ir::ItemFamily{0, spec.heads, spec.kv_len, 0, std::move(tiles)}};
  std::vector<ir::ItemFamily> out;
  for (std::int64_t head = 0; head < spec.heads; ++head) out.push_back({head, 1, spec.kv_len, 0, tiles});
  return out;
}

// o = sum over splits of the partial outputs (weights left out: the cost is what counts here).
ir::Kernel combine_kernel(const AttentionSpec& spec, const SpecTensors& tensors) {
  ir::Kernel kernel;
  kernel.name = "combine";
  ir::Program& p = kernel.program;
  p.axes = {{"d", ir::AxisKind::fixed, spec.head_dim_padded, spec.head_dim, 0}, {"rows", ir::AxisKind::item_rows, spec.tile_q, 1, 0}};
  p.tiles = {{"acc", ir::Space::registers, 1, 0, ir::DType::f32, 1, ir::kNone, 0},
             {"part", ir::Space::registers, 1, 0, ir::DType::f32, 1, ir::kNone, 0},
             {"out", ir::Space::registers, 1, 0, ir::DType::bf16, 1, ir::kNone, 0}};
  p.sections = {{"start", ir::SectionKind::once, ir::TripSource::runs},
                {"peers", ir::SectionKind::loop, ir::TripSource::peers},
                {"end", ir::SectionKind::once, ir::TripSource::runs}};
  ir::Op zero;
  zero.kind = OpKind::unary;
  zero.fn = Fn::zero;
  zero.role = "init";
  zero.out = {0};
  ir::Op load;
  load.kind = OpKind::load;
  load.role = "load_partial";
  load.out = {1};
  load.access.tensor = tensors.partial;
  load.access.slab_multiplier = spec.splits;
  load.access.add_trip = true;
  load.access.row_from = ir::RowFrom::item;
  ir::Op add;
  add.kind = OpKind::binary;
  add.fn = Fn::add;
  add.role = "combine";
  add.in = {0, 1};
  add.out = {0};
  ir::Op convert;
  convert.kind = OpKind::convert;
  convert.role = "combine";
  convert.in = {0};
  convert.out = {2};
  ir::Op store;
  store.kind = OpKind::store;
  store.role = "store";
  store.in = {2};
  store.access.tensor = tensors.o;
  store.access.row_from = ir::RowFrom::item;
  p.agents = {{"all", 4, 128, {{zero}, {load, add}, {convert, store}}}};
  std::vector<ir::RowTile> tiles;
  for (std::int64_t row = 0; row < spec.q_len; row += spec.tile_q) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(spec.tile_q, spec.q_len - row);
    tile.peers = spec.splits;
    tiles.push_back(tile);
  }
  kernel.families = families(spec, std::move(tiles));
  return kernel;
}

}  // namespace

bool keeps(const AttentionSpec& spec, std::int64_t q, std::int64_t k) {
  return k < spec.kv_len && q < spec.q_len && k - q >= spec.lower && k - q <= spec.upper;
}

std::int64_t kept_pairs(const AttentionSpec& spec) {
  std::int64_t kept = 0;
  for (std::int64_t q = 0; q < spec.q_len; ++q) {
    for (std::int64_t k = 0; k < spec.kv_len; ++k) kept += keeps(spec, q, k) ? 1 : 0;
  }
  return kept;
}

ir::Pipeline attention_pipeline(const AttentionSpec& spec) {
  ir::PipelineBuilder builder("attention");
  const std::int64_t kv_heads = spec.heads / spec.group;
  SpecTensors t;
  t.q = builder.tensor({"q", spec.heads, spec.q_len, spec.head_dim, ir::DType::bf16, ir::TensorRole::input});
  t.k = builder.tensor({"k", kv_heads, spec.kv_len, spec.head_dim, ir::DType::bf16, ir::TensorRole::input});
  t.v = builder.tensor({"v", kv_heads, spec.kv_len, spec.head_dim, ir::DType::bf16, ir::TensorRole::input});
  t.o = builder.tensor({"o", spec.heads, spec.q_len, spec.head_dim, ir::DType::bf16, ir::TensorRole::output});
  if (spec.splits > 1) {
    t.partial =
        builder.tensor({"partial", spec.heads * spec.splits, spec.q_len, spec.head_dim, ir::DType::f32, ir::TensorRole::intermediate});
  }
  ir::Kernel kernel;
  kernel.name = "attention";
  kernel.program = attention_program(spec, t);
  kernel.families = families(spec, row_tiles(spec));
  kernel.grid = spec.grid;
  builder.add(std::move(kernel));
  if (spec.splits > 1) builder.add(combine_kernel(spec, t));
  return builder.build();
}

ir::Pipeline elementwise_pipeline(std::int64_t slabs, std::int64_t rows, int cols, int tile_rows) {
  ir::PipelineBuilder builder("elementwise");
  const ir::TensorId x = builder.tensor({"x", slabs, rows, cols, ir::DType::f32, ir::TensorRole::input});
  const ir::TensorId y = builder.tensor({"y", slabs, rows, cols, ir::DType::f32, ir::TensorRole::output});
  ir::Kernel kernel;
  kernel.name = "exp";
  ir::Program& p = kernel.program;
  p.axes = {{"cols", ir::AxisKind::fixed, cols, cols, 0}, {"rows", ir::AxisKind::item_rows, tile_rows, 1, 0}};
  p.tiles = {{"x", ir::Space::registers, 1, 0, ir::DType::f32, 1, ir::kNone, 0}};
  p.sections = {{"all", ir::SectionKind::once, ir::TripSource::runs}};
  ir::Op load;
  load.kind = OpKind::load;
  load.role = "load";
  load.out = {0};
  load.access.tensor = x;
  load.access.row_from = ir::RowFrom::item;
  ir::Op scale;
  scale.kind = OpKind::binary;
  scale.fn = Fn::multiply;
  scale.scalar = 2;
  scale.role = "scale";
  scale.in = {0};
  scale.out = {0};
  ir::Op exp;
  exp.kind = OpKind::unary;
  exp.fn = Fn::exp2;
  exp.role = "exp";
  exp.in = {0};
  exp.out = {0};
  ir::Op store;
  store.kind = OpKind::store;
  store.role = "store";
  store.in = {0};
  store.access.tensor = y;
  store.access.row_from = ir::RowFrom::item;
  p.agents = {{"all", 4, 64, {{load, scale, exp, store}}}};
  ir::ItemFamily family;
  family.slab_count = slabs;
  for (std::int64_t row = 0; row < rows; row += tile_rows) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(tile_rows, rows - row);
    family.tiles.push_back(tile);
  }
  kernel.families = {std::move(family)};
  builder.add(std::move(kernel));
  return builder.build();
}

AttentionSpec random_attention(Draw& draw) {
  AttentionSpec spec;
  spec.group = draw.integer(1, 3);
  spec.heads = spec.group * draw.integer(1, 4);
  spec.q_len = draw.integer(1, 300);
  spec.kv_len = draw.integer(1, 500);
  spec.head_dim_padded = draw.pick<int>({32, 64, 128});
  spec.head_dim = static_cast<int>(draw.integer(spec.head_dim_padded / 2, spec.head_dim_padded));
  spec.consumers = static_cast<int>(draw.integer(1, 2));
  spec.tile_q = 64 * spec.consumers;
  spec.tile_kv = draw.pick<int>({32, 64, 128});
  switch (draw.integer(0, 2)) {
    case 0: break;
    case 1: spec.upper = spec.kv_len - spec.q_len; break;
    default: spec.upper = draw.integer(0, 64); spec.lower = -draw.integer(0, 128);
  }
  spec.specialised = draw.chance(0.5);
  spec.stages = static_cast<int>(draw.integer(1, 3));
  spec.overlap = spec.stages > 1 && draw.chance(0.5);
  spec.mask_all_tiles = draw.chance(0.3);
  spec.descending = draw.chance(0.5);
  spec.splits = draw.chance(0.3) ? static_cast<int>(draw.integer(2, 5)) : 1;
  spec.grid.policy =
      draw.pick<ir::GridPolicy>({ir::GridPolicy::one_item_per_cta, ir::GridPolicy::persistent_static, ir::GridPolicy::persistent_dynamic});
  spec.grid.tile_order = draw.chance(0.5) ? ir::TileOrder::descending : ir::TileOrder::ascending;
  spec.grid.fastest = draw.chance(0.5) ? ir::Fastest::slabs : ir::Fastest::tiles;
  spec.grid.section_slabs = draw.integer(0, 3);
  return spec;
}

Chip round_chip() {
  Chip chip;
  chip.name = "round";
  chip.isa = "sm_90";
  chip.sm.count = 4;
  chip.sm.fp32_lanes = 128;
  chip.sm.alu_lanes = 64;
  chip.sm.sfu_lanes = 16;
  chip.sm.max_threads = 2048;
  chip.sm.max_ctas = 32;
  chip.sm.registers_kib = 1024;
  chip.sm.smem_kib = 1024;
  chip.sm.smem_per_cta_kib = 1023;
  chip.sm.smem_bytes_per_clk = 128;
  chip.sm.l2_port_bytes_per_clk = 64;
  chip.tensor.flop_per_clk_per_sm = {{"bf16", 4096}, {"f16", 4096}};
  chip.tensor.instructions = {"mma_sync", "wgmma"};
  chip.latency = LatencyModel{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  chip.vector.chain_serialization = 1;
  chip.clock.boost_mhz = 1000;
  chip.l2.capacity_mib = 1;
  chip.l2.bandwidth_bytes_per_clk = 256;
  chip.hbm.bandwidth_gb_per_s = 100;
  chip.launch = LaunchModel{0, 0, 0, 1};
  return chip;
}

Chip random_chip(Draw& draw) {
  Chip chip = round_chip();
  chip.name = "random";
  chip.sm.count = static_cast<int>(draw.integer(1, 16));
  chip.sm.fp32_lanes = 32 * static_cast<double>(draw.integer(1, 8));
  chip.sm.alu_lanes = 16 * static_cast<double>(draw.integer(1, 8));
  chip.sm.sfu_lanes = 4 * static_cast<double>(draw.integer(1, 8));
  chip.sm.issue_per_clk = static_cast<double>(draw.integer(1, 8));
  chip.sm.exp_on_fma = draw.chance(0.5);
  chip.sm.smem_bytes_per_clk = 32 * static_cast<double>(draw.integer(1, 8));
  chip.sm.l2_port_bytes_per_clk = 8 * static_cast<double>(draw.integer(1, 8));
  chip.tensor.flop_per_clk_per_sm["bf16"] = 512 * static_cast<double>(draw.integer(1, 16));
  chip.tensor.efficiency = draw.number(0.7, 1);
  chip.latency = LatencyModel{};
  chip.vector.chain_serialization = draw.number(0, 1);
  chip.clock.boost_mhz = static_cast<double>(draw.integer(500, 2000));
  chip.l2.capacity_mib = draw.number(1.0 / 16, 1);
  chip.l2.effective_fraction = draw.number(0.5, 1);
  chip.l2.bandwidth_bytes_per_clk = chip.sm.count * 8 * static_cast<double>(draw.integer(1, 8));
  chip.hbm.bandwidth_gb_per_s = draw.number(10, 500);
  chip.hbm.efficiency = draw.number(0.7, 1);
  chip.launch = LaunchModel{draw.number(0, 3), draw.number(0, 2), draw.number(0, 800), draw.number(0.05, 2)};
  return chip;
}

}  // namespace attnsim::test
