// SPDX-License-Identifier: Apache-2.0
#include "sim/core/error.h"
#include "tests/support/program_sketch.h"
#include "tests/support/toy_programs.h"

namespace attnsim::test {

ir::Pipeline toy_gemm(int m, int n, int k, int tile_m, int tile_n, int tile_k, int stages, ir::GridPolicy policy, ir::MmaKind kind) {
  require(n % tile_n == 0, "toy_gemm: n must be a multiple of tile_n");
  const int k_tiles = (k + tile_k - 1) / tile_k;
  ir::PipelineBuilder pipeline("toy gemm");
  const auto a = pipeline.tensor({"A", k_tiles, m, tile_k, ir::DType::bf16, ir::TensorRole::input});
  const auto b = pipeline.tensor({"B", n / tile_n, k, tile_n, ir::DType::bf16, ir::TensorRole::input});
  const auto c = pipeline.tensor({"C", n / tile_n, m, tile_n, ir::DType::f32, ir::TensorRole::output});

  ProgramSketch s;
  const auto rows = s.rows("m", tile_m);
  const auto depth = s.trip("k", tile_k);
  const auto cols = s.fixed("n", tile_n);
  const int producer = s.agent("producer", 1, 24);
  const int consumer = s.agent("consumer", 4, 128);
  const auto a_tile = s.smem("a", rows, depth, stages);
  const auto b_tile = s.smem("b", depth, cols, stages);
  const auto acc = s.reg(consumer, "acc", rows, cols);
  const auto full = s.token("full", 2);
  const auto empty = s.token("empty");
  const int begin = s.once("prologue");
  const int main = s.loop("main");
  const int end = s.once("epilogue");

  s.add(producer, main, await(empty, stages));
  s.add(producer, main,
        load("load_a", a_tile, {.tensor = a, .slab_multiplier = 0, .add_trip = true, .row_from = ir::RowFrom::item}, ir::CopyKind::tma,
             {full}));
  s.add(producer, main, load("load_b", b_tile, {.tensor = b, .row_from = ir::RowFrom::trip}, ir::CopyKind::tma, {full}));
  s.add(consumer, begin, zero("init", acc));
  s.add(consumer, main, await(full));
  const bool completes = ir::is_async(kind);
  s.add(consumer, main, accumulate(mma("gemm", kind, acc, a_tile, b_tile, completes ? std::vector{empty} : std::vector<ir::TokenId>{})));
  if (!completes) s.add(consumer, main, signal(empty));
  s.add(consumer, end, store("store", acc, {.tensor = c, .row_from = ir::RowFrom::item}));

  ir::Kernel kernel{"gemm", s.program(), {}, {}};
  ir::ItemFamily family{0, n / tile_n, k, 0, {}};
  for (int row = 0; row < m; row += tile_m) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min(tile_m, m - row);
    tile.runs = {{0, k_tiles, 1, false}};
    tile.kept = tile.rows * k;
    family.tiles.push_back(tile);
  }
  kernel.families.push_back(family);
  kernel.grid.policy = policy;
  pipeline.add(std::move(kernel));
  return pipeline.build();
}

}  // namespace attnsim::test
