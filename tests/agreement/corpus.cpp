// SPDX-License-Identifier: Apache-2.0
#include "tests/agreement/corpus.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "sim/core/error.h"
#include "tests/support/draw.h"
#include "workloads/lower.h"

namespace attnsim::test {

namespace {

// Loop trips of one kernel: enough for several waves, few enough to play a thousand of them.
constexpr double kFewestTrips = 40;
constexpr double kMostTrips = 6000;
constexpr double kMostTripsWide = 40000;
constexpr int kWider = 4;
constexpr int kRoomy = 32;  // L2 of 2 to 32 MiB: room for what CTAs hold, so that hits come from the closed form

const std::vector<Schedule>& all_schedules() {
  static const std::vector<Schedule> schedules = [] {
    std::vector<Schedule> loaded;
    for (const std::string& name : schedule_names()) {
      Schedule schedule = load_schedule(name);
      if (schedule.isas != std::vector<std::string>{"simd"}) loaded.push_back(std::move(schedule));  // the corpus knows GPUs only
    }
    return loaded;
  }();
  return schedules;
}

std::int64_t log_integer(Draw& draw, std::int64_t low, std::int64_t high) {
  // Octaves by halving: no libm call, whose last bit may differ between machines.
  std::int64_t octaves = 0;
  while ((low << (octaves + 1)) <= high) ++octaves;
  const std::int64_t base = low << draw.integer(0, octaves);
  return draw.integer(base, std::min(high, 2 * base));
}

double log_number(Draw& draw, double low, double high) {
  int octaves = 0;
  while (low * static_cast<double>(INT64_C(2) << octaves) <= high) ++octaves;
  const double base = low * static_cast<double>(INT64_C(1) << draw.integer(0, octaves));
  return draw.number(base, std::min(high, 2 * base));
}

Chip scaled_chip(Draw& draw, CorpusChips chips) {
  Chip chip;
  const bool hopper = draw.chance(0.6);
  chip.name = hopper ? "scaled-sm90" : "scaled-sm80";
  chip.isa = hopper ? "sm_90" : "sm_80";
  chip.sm.count = static_cast<int>(draw.integer(8, 16));
  if (chips != CorpusChips::small) chip.sm.count = chip.sm.count / kWider * kWider * kWider;
  chip.sm.fp32_lanes = draw.pick<double>({64, 128});
  chip.sm.alu_lanes = 64;
  chip.sm.sfu_lanes = draw.pick<double>({16, 32});
  chip.sm.max_threads = 2048;
  chip.sm.max_ctas = 32;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = hopper ? 228 : 164;
  chip.sm.smem_per_cta_kib = chip.sm.smem_kib - 1;
  chip.sm.smem_bytes_per_clk = 128;
  chip.sm.l2_port_bytes_per_clk = draw.pick<double>({32, 64});
  const double flop = hopper ? 4096 : 2048;
  chip.tensor.flop_per_clk_per_sm = {{"bf16", flop}, {"f16", flop}};
  chip.tensor.efficiency = draw.number(0.85, 1);
  chip.tensor.instructions = hopper ? std::vector<std::string>{"mma_sync", "wgmma"} : std::vector<std::string>{"mma_sync"};
  chip.latency.l2_cycles = draw.number(150, 350);
  chip.latency.hbm_ns = draw.number(100, 500);
  chip.vector.chain_serialization = draw.number(0.5, 1);
  chip.clock.boost_mhz = static_cast<double>(draw.integer(1000, 2000));
  chip.l2.capacity_mib = log_number(draw, 1.0 / 16, 1) * (chips == CorpusChips::small ? 1 : chips == CorpusChips::wide ? kWider : kRoomy);
  chip.l2.bandwidth_bytes_per_clk = chip.sm.count * draw.number(16, 64);
  chip.hbm.bandwidth_gb_per_s = chip.sm.count * log_number(draw, 4, 32) * chip.clock.boost_mhz * 1e-3;  // 4 to 32 B/clk per SM
  chip.hbm.write_cost = draw.number(1, 1.5);
  chip.hbm.capacity_gib = 80;
  chip.launch.cta_start_cycles = draw.number(0, 800);
  chip.launch.ctas_per_clk = draw.number(0.05, 2);
  return chip;
}

struct Shape {
  const char* phase = "";
  const char* variant = "";
  Problem problem;
};

Shape random_shape(Draw& draw, CorpusChips chips) {
  Shape out;
  Problem& p = out.problem;
  p.head_dim_qk = p.head_dim_v = draw.pick<std::int64_t>({64, 128});
  p.kv_heads = draw.integer(1, 4);
  p.q_heads = p.kv_heads * draw.pick<std::int64_t>({1, 1, 2, 4, 8});
  out.variant = chips != CorpusChips::masked
                    ? draw.pick<const char*>({"dense", "causal", "sliding-window"})
                    : draw.pick<const char*>({"moa", "s2-attention", "selected-blocks", "power-attention", "attention-sinks",
                                              "dilated-window", "block-dilated-window", "global-window", "document", "prefix-lm",
                                              "pruned-heads", "causal-blockwise", "shared-question", "group-position"});
  switch (draw.integer(0, 2)) {
    case 0:
      out.phase = "prefill";
      p.batch = draw.integer(1, 2);
      p.q_len = {log_integer(draw, 256, 4096)};
      p.kv_len = {p.q_len[0] + (draw.chance(0.3) ? log_integer(draw, 64, 2048) : 0)};
      break;
    case 1:
      out.phase = "encoder";
      p.batch = draw.integer(2, 16);
      p.q_len = {log_integer(draw, 64, 512)};
      p.kv_len = p.q_len;
      break;
    default:
      out.phase = "decode";
      p.batch = log_integer(draw, 1, 32);
      p.q_len = {draw.chance(0.8) ? 1 : draw.integer(2, 8)};
      p.kv_len = {log_integer(draw, 256, 16384)};
  }
  if (std::string(out.variant) == "sliding-window") p.params = {{"left", log_integer(draw, 64, 1024)}};
  return out;
}

double trips_of(const ir::Pipeline& pipeline) {
  double trips = 0;
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    if (kernel == nullptr) continue;
    for (const ir::ItemFamily& family : kernel->families) {
      for (const ir::RowTile& tile : family.tiles) trips += static_cast<double>(tile.trips() * family.slab_count);
    }
  }
  return trips;
}

std::optional<Sample> attempt(Draw& draw, CorpusChips chips) {
  Sample out;
  out.chip = scaled_chip(draw, chips);
  Shape shape = random_shape(draw, chips);
  if (chips != CorpusChips::small) shape.problem.batch *= kWider;
  const Schedule& schedule = all_schedules()[static_cast<std::size_t>(draw.next() % all_schedules().size())];
  if (draw.chance(0.3)) out.conditions.l2 = L2Start::warm;
  try {
    out.pipeline = lower(variant(shape.variant), shape.problem, schedule, out.chip);
  } catch (const ConfigError&) {
    return std::nullopt;  // not legal for this shape and chip
  }
  const double trips = trips_of(out.pipeline);
  if (trips < kFewestTrips || trips > (chips != CorpusChips::small ? kMostTripsWide : kMostTrips)) return std::nullopt;
  const Problem& p = shape.problem;
  out.phase = shape.phase;
  out.text =
      fmt::format("{} {} b{} h{}/{} {}x{} d{} on {} SMs, {:.0f} KiB L2, {:.1f} B/clk/SM HBM, {}", shape.variant, schedule.name, p.batch,
                  p.q_heads, p.kv_heads, p.q_len[0], p.kv_len[0], p.head_dim_qk, out.chip.sm.count, out.chip.l2.capacity_mib * 1024,
                  out.chip.hbm.bandwidth_gb_per_s * 1e3 / out.chip.clock.boost_mhz / out.chip.sm.count,
                  out.conditions.l2 == L2Start::warm ? "warm" : "cold");
  return out;
}

}  // namespace

Sample draw_sample(std::uint64_t seed, CorpusChips chips) {
  Draw draw(seed);
  while (true) {
    if (std::optional<Sample> sample = attempt(draw, chips)) {
      sample->seed = seed;
      return *std::move(sample);
    }
  }
}

}  // namespace attnsim::test
