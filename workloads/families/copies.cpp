// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/copies.h"

#include <algorithm>
#include <string>

#include "workloads/families/tile_list.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

ir::Kernel prepare_kernel(ir::PipelineBuilder& pipeline, const Problem& problem, ir::TensorId metadata) {
  constexpr std::int64_t kEntriesPerWarp = 31;
  constexpr std::int64_t kMostWarps = 32;
  constexpr int kRegisters = 32;
  const std::int64_t entries = std::min(problem.batch, kEntriesPerWarp * kMostWarps);
  const ir::TensorId lengths = pipeline.tensor({"lengths", 1, problem.batch, 1, ir::DType::i32, ir::TensorRole::input});
  ProgramBuilder b;
  const int section = b.section("prepare", ir::SectionKind::once);
  const int agent = b.agent("prepare", static_cast<int>((entries + kEntriesPerWarp - 1) / kEntriesPerWarp), kRegisters);
  const ir::AxisId rows = b.rows("entries", static_cast<int>(entries));
  const ir::TileId counts = b.registers("counts", rows, ir::kUnit, ir::DType::i32, agent);
  ops::append(b.ops(agent, section), ops::with_role({ops::load(counts, rows_access(lengths, 0), ir::CopyKind::plain)}, "lookup"));
  ops::append(b.ops(agent, section), ops::with_role({ops::store(counts, rows_access(metadata, 0), ir::CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = "prepare";
  kernel.program = b.take();
  ir::ItemFamily family{0, 1, 0, 0, {}};
  for (std::int64_t row = 0; row < problem.batch; row += entries) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min(entries, problem.batch - row);
    family.tiles.push_back(tile);
  }
  kernel.families.push_back(std::move(family));
  return kernel;
}

ir::Kernel kv_cache_write_kernel(ir::PipelineBuilder& pipeline, const Problem& problem, const WrittenCache& cache, bool by_head) {
  constexpr std::int64_t kMostThreads = 512;
  constexpr int kLanes = 32;
  constexpr int kRegisters = 32;
  std::int64_t tokens = 0;
  for (std::int64_t b = 0; b < problem.batch; ++b) tokens += problem.q_len_of(b);
  const std::int64_t k_width = problem.kv_heads * problem.head_dim_qk;
  const std::int64_t v_width = problem.kv_heads * problem.head_dim_v;
  const auto tensor = [&](const char* name, std::int64_t width, ir::TensorRole role, ir::TensorId same = ir::kNone) {
    const ir::DType dtype = role == ir::TensorRole::input ? problem.dtype : problem.kv_dtype();
    return pipeline.tensor({name, tokens, 1, width, dtype, role, 0, same});
  };
  const ir::TensorId slots = pipeline.tensor({"slot_mapping", 1, 1, 1, ir::DType::i32, ir::TensorRole::input});
  const ir::TensorId new_k = tensor("new_k", k_width, ir::TensorRole::input);
  const ir::TensorId new_v = tensor("new_v", v_width, ir::TensorRole::input);
  const ir::TensorId cache_k = tensor("cache_k", k_width, ir::TensorRole::output, cache.k);
  const ir::TensorId cache_v = tensor("cache_v", v_width, ir::TensorRole::output, cache.v);

  ProgramBuilder b;
  const int section = b.section("copy", ir::SectionKind::once);
  const std::int64_t threads = std::min(kMostThreads, k_width);
  const int warps = static_cast<int>((threads + kLanes - 1) / kLanes);
  const int agent = b.agent("copy", warps, kRegisters);
  const ir::TileId slot = b.registers("slot", ir::kUnit, ir::kUnit, ir::DType::i32, agent);
  const ir::Access slot_access{slots, static_cast<int>(tokens), 1, false, false, ir::RowFrom::zero, 0};
  ops::Ops& list = b.ops(agent, section);
  ops::append(list, ops::with_role({ops::load(slot, slot_access, ir::CopyKind::plain)}, "lookup"));
  const auto copy = [&](const std::string& name, std::int64_t begin, std::int64_t end, ir::TensorId from, ir::TensorId to) {
    const int width = static_cast<int>(end - begin);
    const ir::TileId row = b.registers(name + "_row", ir::kUnit, b.fixed(name + "_width", width, width), problem.dtype, agent);
    const auto columns = [&](ir::TensorId id) {
      ir::Access access{id, 1, 1, false, false, ir::RowFrom::zero, 0};
      access.column_begin = static_cast<int>(begin);
      return access;
    };
    ops::append(list,
                ops::with_role({ops::load(row, columns(from), ir::CopyKind::plain), ops::store(row, columns(to), ir::CopyKind::plain)},
                               "write_" + name));
  };
  const std::int64_t heads_at_once = by_head ? warps : problem.kv_heads;
  for (std::int64_t head = 0; head < problem.kv_heads; head += heads_at_once) {
    const std::int64_t next = std::min(problem.kv_heads, head + heads_at_once);
    const std::string round = head > 0 ? std::to_string(head / heads_at_once) : "";
    copy("k" + round, head * problem.head_dim_qk, next * problem.head_dim_qk, new_k, cache_k);
    copy("v" + round, head * problem.head_dim_v, next * problem.head_dim_v, new_v, cache_v);
  }

  ir::Kernel kernel;
  kernel.name = "kv_cache_write";
  kernel.scattered_writes = true;
  kernel.program = b.take();
  ir::RowTile tile;
  tile.rows = 1;
  kernel.families.push_back({0, tokens, 0, 0, {tile}});
  return kernel;
}

ir::Kernel regroup_kernel(const TileListPlan& plan, const std::string& name, ir::TensorId from, ir::TensorId to, int head_dim) {
  // A tensor copy handles 512 elements with 128 threads.
  constexpr int kWarps = 4;
  constexpr int kRegisters = 32;
  constexpr int kElements = 512;
  ProgramBuilder b;
  const int section = b.section("copy", ir::SectionKind::once);
  const int agent = b.agent("copy", kWarps, kRegisters);
  const int tile_rows = std::max(1, kElements / head_dim);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("d", head_dim, head_dim);
  const ir::TileId tile = b.registers("rows", rows, cols, plan.dtype, agent);
  ops::append(b.ops(agent, section), ops::with_role({ops::load(tile, rows_access(from, 0), ir::CopyKind::plain),
                                                     ops::store(tile, rows_access(to, 0), ir::CopyKind::plain)},
                                                    "copy"));
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = b.take();
  for (const BatchGroup& group : plan.groups) {
    ir::ItemFamily family;
    family.slab_begin = group.slab_begin;
    family.slab_count = group.slab_count;
    for (std::int64_t row = 0; row < group.set.rows(); row += tile_rows) {
      ir::RowTile item;
      item.row_begin = row;
      item.rows = std::min<std::int64_t>(tile_rows, group.set.rows() - row);
      family.tiles.push_back(item);
    }
    kernel.families.push_back(std::move(family));
  }
  return kernel;
}

}  // namespace attnsim
