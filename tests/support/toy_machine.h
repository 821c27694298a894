// SPDX-License-Identifier: Apache-2.0
// A chip of round numbers and kernels of a few ops, whose cycles can be counted by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/engine/machine.h"

namespace attnsim::test {

// Round numbers: 16 SFU lanes, 64 FP32 and ALU lanes, 1024 FLOP/clk matrix unit, 128 B/clk SMEM, 32 B/clk port; no latencies.
inline Chip toy_chip() {
  Chip chip;
  chip.name = "toy";
  chip.isa = "sm_90";
  chip.sm.count = 1;
  chip.sm.fp32_lanes = 64;
  chip.sm.alu_lanes = 64;
  chip.sm.sfu_lanes = 16;
  chip.sm.issue_per_clk = 1000;
  chip.sm.smem_bytes_per_clk = 128;
  chip.sm.max_threads = 2048;
  chip.sm.max_ctas = 8;
  chip.tensor.flop_per_clk_per_sm = {{"bf16", 1024}};
  chip.tensor.efficiency = 1;
  chip.latency = LatencyModel{0, 0, 0, 0, 0, 0, 0, 0, 100, 50, 0, 0};
  chip.vector.chain_serialization = 1;
  chip.clock.boost_mhz = 1000;
  chip.launch.cta_start_cycles = 0;
  chip.launch.ctas_per_clk = 1e6;
  return chip;
}

inline constexpr double kExpCycles = 64 * 64 / 16.0;  // 64 x 64 exponentials on 16 lanes

inline MachineConfig toy_config() {
  MachineConfig config;
  config.clock_mhz = 1000;
  config.rates = MemoryRates{32.0 / 1024, 1000.0 / 1024, 8.0 / 1024};
  config.hit_fraction = 1;
  return config;
}

inline ir::Op exp_of(ir::TileId tile) {
  ir::Op op;
  op.kind = ir::OpKind::unary;
  op.role = "softmax";
  op.fn = ir::Fn::exp2;
  op.in = {tile};
  op.out = {tile};
  return op;
}

// A load into the tile, or a store or atomic from it, of the first tensor.
inline ir::Op copy_of(ir::OpKind kind, ir::TileId tile, ir::CopyKind copy) {
  ir::Op op;
  op.kind = kind;
  op.role = kind == ir::OpKind::load ? "load_k" : kind == ir::OpKind::atomic ? "add_dq" : "store";
  (kind == ir::OpKind::load ? op.out : op.in) = {tile};
  op.copy = copy;
  op.access.tensor = 0;
  return op;
}

// 64 x 64 of f32, as the tiles of kernel_of().
inline ir::Tensor toy_tensor() {
  ir::Tensor tensor;
  tensor.rows = 64;
  tensor.cols = 64;
  tensor.dtype = ir::DType::f32;
  return tensor;
}

inline ir::Op sync(ir::OpKind kind, ir::TokenId token, int distance = 0) {
  ir::Op op;
  op.kind = kind;
  op.role = "sync";
  op.token = token;
  op.distance = distance;
  return op;
}

// One agent per entry of `ops`; a single loop section; items with `trips` trips each.
inline ir::Kernel kernel_of(std::vector<std::vector<ir::Op>> ops, std::int64_t trips, std::int64_t items) {
  ir::Kernel kernel;
  kernel.name = "toy";
  ir::Program& p = kernel.program;
  p.axes = {{"rows", ir::AxisKind::fixed, 64, 64, 0}, {"cols", ir::AxisKind::fixed, 64, 64, 0}, {"kv", ir::AxisKind::trip_cols, 64, 0, 0}};
  for (std::size_t a = 0; a < ops.size(); ++a) {
    p.tiles.push_back({"s" + std::to_string(a), ir::Space::registers, 0, 1, ir::DType::f32, 1, ir::kNone, static_cast<int>(a)});
  }
  p.tokens = {{"full", ir::TokenScope::cta, 1, 0}, {"empty", ir::TokenScope::cta, 1, 0}};
  p.sections = {{"main", ir::SectionKind::loop, ir::TripSource::runs}};
  for (std::size_t a = 0; a < ops.size(); ++a) p.agents.push_back({"agent" + std::to_string(a), 4, 32, {ops[a]}});
  ir::ItemFamily family;
  family.slab_count = items;
  family.loop_extent = 64 * trips;
  family.tiles = {ir::RowTile{0, 64, {{0, trips, 1, false}}, 0, 0, 0, false}};
  kernel.families = {family};
  kernel.grid.policy = ir::GridPolicy::persistent_static;
  return kernel;
}

}  // namespace attnsim::test
