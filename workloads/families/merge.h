// SPDX-License-Identifier: Apache-2.0
// Merging of partial attention results (O and base-2 log-sum-exp of one split), shared by the combine kernel and by the last
// CTA's reduction. O = sum 2^(lse_s - m) O_s / sum 2^(lse_s - m), m = max lse_s.
#pragma once

#include "workloads/families/program_builder.h"

namespace attnsim {

struct MergeTiles {
  ir::TileId o = ir::kNone;  // accumulator [rows x dv] f32
  ir::TileId m = ir::kNone;  // row vectors, f32
  ir::TileId m_new = ir::kNone;
  ir::TileId m_safe = ir::kNone;
  ir::TileId alpha = ir::kNone;
  ir::TileId beta = ir::kNone;
  ir::TileId l = ir::kNone;
  ir::TileId part_o = ir::kNone;    // [rows x dv] f32, an SMEM ring or registers
  ir::TileId part_lse = ir::kNone;  // [rows x 1] f32
  ir::TileId scaled = ir::kNone;    // [rows x dv] f32
  ir::TokenId full = ir::kNone;     // two loads per split; none where they go to registers, which wait by themselves
};

// O = 0, l = 0, m = -inf.
[[nodiscard]] ops::Ops merge_start(const MergeTiles& t);
[[nodiscard]] ops::Ops merge_load(const MergeTiles& t, ir::Access o_partial, ir::Access lse_partial, ir::CopyKind copy);
[[nodiscard]] ops::Ops merge_step(const MergeTiles& t);
// O / l; a row without any key gives 0. lse = natural logarithm, in t.alpha.
[[nodiscard]] ops::Ops merge_finish(const MergeTiles& t);

// The same for a tile that has row maxima m (times `scale` = base-2 exponents) and sums l: O /= l, lse in `lse`.
[[nodiscard]] ops::Ops normalize(ir::TileId o, ir::TileId l, ir::TileId inverse);
[[nodiscard]] ops::Ops row_state_start(ir::TileId o, ir::TileId l, ir::TileId m);

}  // namespace attnsim
