// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/gemm.h"

#include <fmt/format.h>

#include <algorithm>

#include "workloads/families/rowwise.h"
#include "workloads/families/tile_list.h"
#include "workloads/variants/params.h"

namespace attnsim {

namespace {

void check_chip(const Schedule& schedule, const Problem& problem, const Chip& chip) {
  if (!schedule.isas.empty() && std::find(schedule.isas.begin(), schedule.isas.end(), chip.isa) == schedule.isas.end()) {
    std::string allowed;
    for (const std::string& isa : schedule.isas) allowed += (allowed.empty() ? "" : ", ") + isa;
    illegal("/schedule", schedule.name, fmt::format("does not run on {} ({})", chip.name, chip.isa), allowed);
  }
  const std::string dtype(ir::name_of(problem.dtype));
  if (!schedule.dtypes.empty() && std::find(schedule.dtypes.begin(), schedule.dtypes.end(), dtype) == schedule.dtypes.end())
    illegal("/dtype", dtype, fmt::format("is not what {} is compiled for", schedule.name),
            fmt::format("{}", fmt::join(schedule.dtypes, ", ")));
  if (chip.tensor_flop_per_clk(dtype) <= 0) illegal("/dtype", dtype, "has no matrix unit on " + chip.name);
}

GemmTensors make_gemm_tensors(ir::PipelineBuilder& builder, const GemmPlan& plan) {
  const std::int64_t depth = std::min<std::int64_t>(plan.tile.tile_k, plan.k);
  GemmTensors t;
  t.a = builder.tensor({plan.transposed ? "b_transposed" : "a", plan.trips, plan.m, depth, plan.dtype, ir::TensorRole::input});
  t.b = builder.tensor({plan.transposed ? "a_transposed" : "b", plan.panels, plan.k, plan.width, plan.dtype, ir::TensorRole::input});
  t.c = builder.tensor({plan.transposed ? "c_transposed" : "c", plan.panels, plan.m, plan.width, plan.out, ir::TensorRole::output});
  if (plan.splits > 1) {
    t.partial = builder.tensor({"partial", plan.panels * plan.splits, plan.m, plan.width, ir::DType::f32, ir::TensorRole::intermediate});
  }
  return t;
}

ir::ItemFamily items(const GemmPlan& plan) {
  ir::ItemFamily family;
  family.slab_count = plan.panels;
  family.loop_extent = plan.k;
  for (std::int64_t s = 0; s < plan.splits; ++s) {  // outermost: the CTAs of a cluster have neighbouring row tiles
    for (std::int64_t i = 0; i < plan.row_tiles; ++i) {
      ir::RowTile tile;
      tile.row_begin = i * plan.tile.tile_m;
      tile.rows = std::clamp<std::int64_t>(plan.m - tile.row_begin, 0, plan.tile.tile_m);
      tile.split = static_cast<int>(s);
      const std::int64_t first = s * plan.trips / plan.splits;
      const std::int64_t end = (s + 1) * plan.trips / plan.splits;
      tile.runs = {{first, end - first, 1, false}};
      tile.kept = tile.rows * (std::min(plan.k, end * plan.tile.tile_k) - first * plan.tile.tile_k);
      family.tiles.push_back(std::move(tile));
    }
  }
  return family;
}

// A in 8 bits from 16, as the parameter `quantize` says: reads x in panels of the row kernel's chunks.
void add_quantize(ir::PipelineBuilder& builder, const GemmPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip,
                  const GemmTensors& gemm) {
  const std::string how = text_param(problem, "quantize", "none");
  if (how == "none") return;
  if (problem.dtype != ir::DType::f8)
    bad_param("quantize", how, fmt::format("is for 8-bit products, not {}", ir::name_of(problem.dtype)), "none");
  if (schedule.rows.empty()) illegal("/schedule", schedule.name, "has no kernels that quantise A", "quantize none");
  const RowPlan rows = plan_rows(problem.k, schedule, chip);
  const RowTypes types{ir::DType::bf16, problem.dtype};
  const std::int64_t depth = std::min<std::int64_t>(plan.tile.tile_k, plan.k);
  const bool fits = !plan.transposed && rows.chunk % depth == 0 && problem.k % rows.chunk == 0;
  RowTensors t;
  t.x = builder.tensor({"x", rows.trips, problem.m, rows.chunk, types.x, ir::TensorRole::input});
  if (how == "tensor") {
    RowTensors read = t;
    read.statistic = builder.tensor({"largest", 1, problem.m, 1, ir::DType::f32, ir::TensorRole::intermediate});
    ir::Kernel kernel = row_kernel(RowOp::largest, rows, problem.m, read, types);
    kernel.name = "largest";
    builder.add(std::move(kernel));
  }
  t.y = builder.tensor({"quantized", rows.trips, problem.m, rows.chunk, types.y, ir::TensorRole::output, 0, fits ? gemm.a : ir::kNone});
  if (how == "token") t.statistic = builder.tensor({"scales", 1, problem.m, 1, ir::DType::f32, ir::TensorRole::output});
  ir::Kernel kernel = row_kernel(how == "token" ? RowOp::quantize_rows : RowOp::quantize, rows, problem.m, t, types);
  kernel.name = "quantize";
  builder.add(std::move(kernel));
}

}  // namespace

ir::Pipeline lower_gemm(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                        const std::vector<ExtraKernel>&) {
  check_chip(schedule, problem, chip);
  const GemmPlan plan = choose_gemm(problem, schedule, chip);
  ir::PipelineBuilder builder(fmt::format("{} {} {}x{}x{}{}{}{}", variant.name, schedule.name, plan.tile.tile_m, plan.tile.tile_n,
                                          plan.tile.tile_k, plan.transposed ? " transposed" : "",
                                          plan.cluster > 1 ? fmt::format(" cluster {}", plan.cluster) : "",
                                          plan.splits > 1 ? fmt::format(" split {}", plan.splits) : ""));
  const GemmTensors tensors = make_gemm_tensors(builder, plan);
  add_quantize(builder, plan, problem, schedule, chip, tensors);
  ir::Kernel kernel;
  kernel.name = fmt::format("gemm {}x{}x{}", plan.tile.tile_m, plan.tile.tile_n, plan.tile.tile_k);
  kernel.program = gemm_program(plan, schedule, tensors);
  kernel.families.push_back(items(plan));
  kernel.grid.policy = schedule.grid;
  kernel.grid.fastest = ir::Fastest::slabs;
  kernel.grid.section_slabs = schedule.gemm.raster_panels;
  kernel.grid.cluster = plan.cluster;
  if (plan.shares_b) kernel.grid.cluster_tiles = plan.cluster;
  builder.add(std::move(kernel));
  if (plan.splits > 1) builder.add(gemm_reduce_kernel(plan, tensors));
  return builder.build();
}

}  // namespace attnsim
