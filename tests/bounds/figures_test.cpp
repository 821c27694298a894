// SPDX-License-Identifier: Apache-2.0
// Every figure of a chip that is a resource, a rate or a latency: a better value never raises a closed-form bound of a pipeline whose
// tiles, splits and grid stay as they are.
#include "hwmodels/figures.h"

#include <catch2/catch.hpp>

#include "sim/bounds/bounds.h"
#include "tests/agreement/corpus.h"
#include "tests/bounds/rungs.h"

using namespace attnsim;

namespace {

using test::kClosedForm;
using test::kRounding;

enum class Better { more, less, neither };

// What the figure is to the bounds. `neither`: identity, geometry of the data path, power, or what only the engine reads as a policy.
Better better(const std::string& path) {
  const auto in = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return path == name; });
  };
  if (in({"sm.count",
          "sm.fp32_lanes",
          "sm.alu_lanes",
          "sm.sfu_lanes",
          "sm.issue_per_clk",
          "sm.exp_on_fma",
          "sm.max_threads",
          "sm.max_ctas",
          "sm.registers_kib",
          "sm.smem_kib",
          "sm.smem_bytes_per_clk",
          "sm.l2_port_bytes_per_clk",
          "sm.l2_requests_per_clk",
          "tensor.efficiency",
          "clock.boost_mhz",
          "l2.capacity_mib",
          "l2.effective_fraction",
          "l2.bandwidth_bytes_per_clk",
          "hbm.bandwidth_gb_per_s",
          "hbm.efficiency",
          "launch.ctas_per_clk"})) {
    return Better::more;
  }
  if (path.rfind("latency.", 0) == 0 ||
      in({"launch.kernel_us", "launch.dependent_kernel_us", "launch.cta_start_cycles", "hbm.write_cost", "vector.chain_serialization"})) {
    return Better::less;
  }
  return Better::neither;
}

void check_not_raised(const Ladder& before, const Ladder& after) {
  for (const Rung rung : kClosedForm) {
    INFO("rung " << static_cast<int>(rung) << " limited by " << before.limiter[static_cast<std::size_t>(rung)]);
    CHECK(after.at(rung).value() <= before.at(rung).value() * (1 + kRounding));
  }
}

}  // namespace

TEST_CASE("a better value of any chip figure never raises a bound of a lowered pipeline") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    const Ladder before = compute_bounds(sample.pipeline, sample.chip, sample.conditions).ladder;
    int checked = 0;
    for (const Figure& figure : figure_table()) {
      const std::string path(figure.path);
      const Better direction = better(path);
      if (direction == Better::neither) continue;
      Chip chip = sample.chip;
      const double value = figure.get(chip);
      double changed = direction == Better::more ? value * 1.5 + (figure.kind == FigureKind::number ? 0 : 1) : value / 1.5;
      if (figure.kind == FigureKind::boolean) changed = 1;
      if (figure.kind == FigureKind::integer) changed = static_cast<double>(static_cast<std::int64_t>(changed));
      changed = std::clamp(changed, figure.min, figure.max);
      figure.set(chip, changed);
      INFO("seed " << seed << " " << sample.text << ": " << path << " " << value << " -> " << changed);
      check_not_raised(before, compute_bounds(sample.pipeline, chip, sample.conditions).ladder);
      ++checked;
    }
    CHECK(checked >= 30);
    Chip chip = sample.chip;
    for (auto& [dtype, flop] : chip.tensor.flop_per_clk_per_sm) flop *= 1.5;
    INFO("seed " << seed << " " << sample.text << ": tensor rate");
    check_not_raised(before, compute_bounds(sample.pipeline, chip, sample.conditions).ladder);
  }
}

TEST_CASE("every resource and latency among the chip figures is known to the monotony test") {
  for (const Figure& figure : figure_table()) {
    const std::string path(figure.path);
    const std::string section = path.substr(0, path.find('.'));
    if (section == "latency") CHECK(better(path) == Better::less);
    if (path.find("bandwidth") != std::string::npos) CHECK(better(path) == Better::more);
    if (path.find("lanes") != std::string::npos && path != "sm.lanes_per_warp") CHECK(better(path) == Better::more);
  }
}
