// SPDX-License-Identifier: Apache-2.0
#include "validation/own_problem.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <numeric>

#include "sim/core/error.h"
#include "validation/cuda/launch_plan.h"
#include "validation/host/attention.h"
#include "workloads/harness.h"

namespace attnsim {

namespace {

ir::DType dtype_of(const bench::Shape& shape) {
  for (const ir::DType t : {ir::DType::bf16, ir::DType::f16, ir::DType::f32})
    if (ir::name_of(t) == shape.dtype) return t;
  return ir::DType::bf16;
}

Problem attention_problem(const bench::Shape& shape) {
  Problem p;
  p.batch = shape.batch;
  p.q_heads = shape.q_heads;
  p.kv_heads = shape.kv_heads;
  p.q_len = {shape.q_len};
  p.kv_len = {shape.kv_len};
  p.head_dim_qk = p.head_dim_v = shape.head_dim;
  p.dtype = dtype_of(shape);
  if (shape.backward) p.pass = Pass::backward;
  return p;
}

Problem product_problem(const bench::Shape& shape) {
  Problem p;
  p.m = shape.q_len;
  p.n = shape.kv_len;
  p.k = shape.head_dim;
  p.dtype = dtype_of(shape);
  return p;
}

std::string extents_text(const std::vector<std::int64_t>& values) {
  return fmt::format("{}", fmt::join(values, "x"));
}

const TileRule& tile_of(const Schedule& schedule, const bench::Shape& shape) {
  for (const TileRule& rule : schedule.tiles)
    if (shape.head_dim <= rule.head_dim_max) return rule;
  throw ConfigError({"", "/shape/head_dim", std::to_string(shape.head_dim), "has no tile in schedule " + schedule.name, "", ""});
}

std::string phase_of(const Request& request) {
  if (request.variant->shape != ShapeKind::attention) return std::string(request.variant->name);
  if (request.problem.pass == Pass::backward) return "bwd";
  return request.problem.is_decode() ? "decode" : "prefill";
}

}  // namespace

std::string kept_blocks(const bench::Row& row, std::int64_t tile_q, std::int64_t tile_kv, std::int64_t block) {
  const bench::Shape& s = row.shape;
  const auto ceil_div = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t q_tiles = ceil_div(s.q_len, tile_q), kv_tiles = ceil_div(s.kv_len, tile_kv);
  const std::int64_t rows = ceil_div(s.q_len, block), columns = ceil_div(s.kv_len, block);
  const auto kept = [&](std::int64_t q, std::int64_t kv) {
    if (row.backend == "host") return host::keeps_tile(s, q, kv);
    return cuda::block_kept(static_cast<int>(q), static_cast<int>(q_tiles), static_cast<int>(kv), static_cast<int>(kv_tiles), s.density,
                            s.seed);
  };
  std::string text = fmt::format("{} {} 1\n", rows, columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t kv = 0; kv < kv_tiles;) {
      std::int64_t end = kv;
      while (end < kv_tiles && kept(r * block / tile_q, end)) ++end;
      const std::int64_t first = kv * tile_kv / block;
      if (end > kv) text += fmt::format("0 {} {} {}\n", r, first, std::min(columns, end * tile_kv / block) - first);
      kv = end + 1;
    }
  }
  return text;
}

OwnRequest::OwnRequest(const bench::Row& row, const Chip& chip) {
  const bench::Shape& s = row.shape;
  request.workload = bench::label(s);
  request.schedule = load_schedule(row.kernel.schedule);
  request.chip = chip;
  if (request.schedule.family == "gemm") {
    request.variant = &variant("gemm");
    request.problem = product_problem(s);
  } else {
    request.variant = &variant(s.mask == "window" ? "sliding-window" : s.mask);
    request.problem = attention_problem(s);
  }
  Params& params = request.problem.params;
  if (s.mask == "window") {
    params = {{"left", s.left}, {"right", s.right}, {"alignment", std::string("bottom-right")}};
  } else if (s.mask == "gna") {
    // gna-mma is timed on tokens that were permuted before.
    params = {{"layout", extents_text(s.layout)},
              {"window", extents_text(s.window)},
              {"stride", extents_text(s.stride)},
              {"dilation", extents_text(s.dilation)},
              {"tokens", std::string(row.kernel.name == "gna-mma" ? "boxes" : "layout")}};
  } else if (s.mask == "block-sparse") {
    static std::atomic<int> number{0};
    const TileRule& tile = tile_of(request.schedule, s);
    const std::int64_t block = std::gcd(tile.tile_q, tile.tile_kv);
    pattern_ = std::filesystem::temp_directory_path() / fmt::format("attnsim-kept-blocks-{}-{}.txt", getpid(), number++);
    std::ofstream stream(pattern_, std::ios::binary);
    stream << kept_blocks(row, tile.tile_q, tile.tile_kv, block);
    if (!stream.flush()) throw ConfigError({pattern_.string(), "", "", "can't be written", "", ""});
    params = {{"file", pattern_.string()}, {"block", block}};
  }
  request.conditions = load_harness(row.harness).for_phase(phase_of(request));
}

OwnRequest::~OwnRequest() {
  std::error_code ignored;
  if (!pattern_.empty()) std::filesystem::remove(pattern_, ignored);
}

}  // namespace attnsim
