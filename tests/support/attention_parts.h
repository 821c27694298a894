// SPDX-License-Identifier: Apache-2.0
// What the toy attention programs share: the online softmax and the items of a (causal) query grid.
#pragma once

#include "tests/support/program_sketch.h"
#include "tests/support/toy_programs.h"

namespace attnsim::test {

// Register tiles of one consumer's online softmax. m: running maximum of the scores, l: running sum, o: running output.
struct SoftmaxTiles {
  ir::TileId s, keep, p, m, next_m, alpha, l, part, o;
};
[[nodiscard]] SoftmaxTiles softmax_tiles(ProgramSketch& sketch, int agent, const std::string& suffix, ir::AxisId rows, ir::AxisId kv,
                                         ir::AxisId d);

// 1 / sqrt(d) * log2(e): scores in units of log2.
[[nodiscard]] double log2_scale(int head_dim);

void add_init(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t);
// next_m = max(m, rowmax s); alpha = 2^(c m - c next_m); p = 2^(c s - c next_m); l = l alpha + rowsum p; o = o alpha.
void add_softmax(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t, double scale, const ir::Relation* causal, int skew);
// o = o / l with 0 where nothing was kept.
void add_normalize(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t);
// Merges a partial result (part_o, part_m, part_l: scores' maximum and sum) into (o, m, l). Scores are scaled by `scale`.
void add_merge(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t, ir::TileId part_o, ir::TileId part_m,
               ir::TileId part_l, ir::TileId beta, double scale, ir::When when = ir::When::always);

[[nodiscard]] ir::Relation causal_relation(const ToyAttention& shape);
// One item per query tile, each with its runs of full and partial KV tiles.
[[nodiscard]] ir::ItemFamily attention_items(const ToyAttention& shape, int tile_q, int tile_kv, bool descending);

struct AttentionTensors {
  ir::TensorId q, k, v, o;
};
[[nodiscard]] AttentionTensors attention_tensors(ir::PipelineBuilder& pipeline, const ToyAttention& shape);

}  // namespace attnsim::test
