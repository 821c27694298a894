// SPDX-License-Identifier: Apache-2.0
// The GEMM family: C [m x n] = A [m x k] B [k x n]. A lies in panels of tile_k columns, B and C in panels of about tile_n columns
// (as many as tiles, of equal width: where they do not divide n, fewer columns than there are panels are counted beyond it), so that each
// tile is one block of rows of a panel. Items: row tiles of C, cut along k by a split, whose partial sums a kernel of its own adds. Where
// the schedule transposes and that is faster, C^T = B^T A^T: m and n change places. An 8-bit product may have to bring A from 16 bits
// first: kernels of the rowwise family, whose results are A's memory where its panels fit theirs.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

struct GemmPlan {
  GemmTile tile;
  bool transposed = false;  // m and n are those of C^T
  std::int64_t m = 1;
  std::int64_t n = 1;
  std::int64_t k = 1;
  std::int64_t row_tiles = 1;
  std::int64_t panels = 1;  // of B and C
  int width = 1;            // columns of such a panel
  std::int64_t trips = 1;   // k tiles
  std::int64_t splits = 1;
  int cluster = 1;
  bool shares_b = false;  // the cluster lies along m
  ir::DType dtype = ir::DType::bf16;
  ir::DType out = ir::DType::bf16;  // of C; 8-bit products leave 16 bits
};

// The plan of one tile and split. A cluster along m may have CTAs without rows, one along n must divide the panels.
[[nodiscard]] GemmPlan plan_gemm(const Problem& problem, const GemmTile& tile, std::int64_t splits, bool transposed = false);
// Cycles by closed form: whole waves of CTAs, each with its start, the latency of its first loads, max(matrix unit, SMEM, L2-to-SM
// bytes, load latency over the stages in flight, one CTA's own waits) per trip and its store; HBM at least; a further kernel where k is
// split. It ranks the candidates of a library, whose own heuristics are not public.
[[nodiscard]] double estimate_gemm(const GemmPlan& plan, const Schedule& schedule, const Chip& chip);
// The best of the schedule's tiles and splits that fit the chip. Throws ConfigError when none does.
[[nodiscard]] GemmPlan choose_gemm(const Problem& problem, const Schedule& schedule, const Chip& chip);

struct GemmTensors {
  ir::TensorId a = ir::kNone;
  ir::TensorId b = ir::kNone;
  ir::TensorId c = ir::kNone;
  ir::TensorId partial = ir::kNone;  // splits > 1, f32
};
[[nodiscard]] ir::Program gemm_program(const GemmPlan& plan, const Schedule& schedule, const GemmTensors& tensors);
[[nodiscard]] ir::Kernel gemm_reduce_kernel(const GemmPlan& plan, const GemmTensors& tensors);

[[nodiscard]] ir::Pipeline lower_gemm(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                      const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
