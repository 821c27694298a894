// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/work.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::bounds;

TEST_CASE("work counted over progressions of row tiles is the sum over the tiles one by one") {
  const std::string name =
      GENERATE("dense", "causal", "sliding-window", "power-attention", "block-dilated-window", "s2-attention", "global-window");
  const std::int64_t length = GENERATE(1000, 4096);
  CAPTURE(name, length);
  Problem problem;
  problem.q_heads = 8;
  problem.kv_heads = 2;
  problem.q_len = {length};
  problem.kv_len = {length};
  const Variant& v = variant(name);
  for (const ParamSpec& spec : v.params) problem.params[std::string(spec.name)] = spec.default_value;
  const Chip chip = load_chip("h100-sxm");
  const ir::Pipeline pipeline = lower(v, problem, load_schedule("fa3-sm90"), chip);
  for (const ir::Node& node : pipeline.nodes()) {
    const auto& kernel = std::get<ir::Kernel>(node.work);
    const KernelWork all = count_work(select_instructions(kernel, chip), pipeline.tensors(), chip);
    std::size_t index = 0;
    WorkCounts sum;
    ServerCycles padded{};
    LaneCycles useful;
    for (const ir::ItemFamily& family : kernel.families) {
      for (const ir::RowTile& tile : family.tiles) {
        ir::Kernel alone = kernel;
        alone.families = {family};
        alone.families[0].tiles = {tile};
        const KernelWork one = count_work(select_instructions(alone, chip), pipeline.tensors(), chip);
        const ItemClass& c = all.classes[index++];
        CAPTURE(index);
        CHECK(c.tile == &tile);
        CHECK(c.latency_cycles == Approx(one.classes[0].latency_cycles));
        for (std::size_t s = 0; s < kServers; ++s) {
          CHECK(c.servers[s] == Approx(one.classes[0].servers[s]));
          padded[s] += one.padded[s];
        }
        for (std::size_t a = 0; a < c.agent_cycles.size(); ++a) CHECK(c.agent_cycles[a] == Approx(one.classes[0].agent_cycles[a]));
        sum.tensor_flops += one.counts.tensor_flops;
        sum.useful_tensor_flops += one.counts.useful_tensor_flops;
        sum.useful_exp_count += one.counts.useful_exp_count;
        sum.smem_bytes += one.counts.smem_bytes;
        sum.l2_bytes += one.counts.l2_bytes;
        useful.fp32 += one.useful_lanes.fp32;
        useful.sfu += one.useful_lanes.sfu;
      }
    }
    for (std::size_t s = 0; s < kServers; ++s) CHECK(all.padded[s] == Approx(padded[s]));
    CHECK(all.counts.tensor_flops == Approx(sum.tensor_flops));
    CHECK(all.counts.useful_tensor_flops == Approx(sum.useful_tensor_flops));
    CHECK(all.counts.useful_exp_count == Approx(sum.useful_exp_count));
    CHECK(all.counts.smem_bytes == Approx(sum.smem_bytes));
    CHECK(all.counts.l2_bytes == Approx(sum.l2_bytes));
    CHECK(all.useful_lanes.fp32 == Approx(useful.fp32));
    CHECK(all.useful_lanes.sfu == Approx(useful.sfu));
  }
}
