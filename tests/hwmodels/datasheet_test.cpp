// SPDX-License-Identifier: Apache-2.0
// Peaks that follow from the primitives, against the dense figures of the makers' datasheets.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "hwmodels/chip_text.h"

using namespace attnsim;

namespace {

struct Datasheet {
  const char* chip;
  double rated_mhz;  // clock behind the matrix figures
  double bf16_tflops;
  double f8_tflops;  // 0: no FP8
  double fp32_tflops;
  double fp32_mhz;
  double memory_gb_per_s;
  double power_w;
};

// The highest clock of H100, H200 and B200 is above the one that the matrix figures are rated at.
const Datasheet kDatasheets[] = {
    {"a100-sxm-80gb", 1410, 312, 0, 19.5, 1410, 2039, 400},
    {"h100-sxm", 1830, 989.4, 1978.9, 66.9, 1980, 3352, 700},
    {"h200", 1830, 989.4, 1978.9, 66.9, 1980, 4800, 700},
    {"l40s", 2520, 366.4, 733, 91.6, 2520, 864, 350},
    {"b200", 1856, 2250, 4500, 74.4, 1965, 8000, 1000},
    {"rtx-pro-6000", 2430, 467.8, 935.6, 117, 2430, 1597, 600},
    {"mi300x", 2100, 1307.4, 2614.9, 163.4, 2100, 5300, 750},
    {"rtx-4090", 2520, 165.2, 330.3, 82.6, 2520, 1008, 450},
    {"h100-pcie", 1620, 756.5, 1513, 51.2, 1755, 2039, 350},
    {"a100-sxm-40gb", 1410, 312, 0, 19.5, 1410, 1555, 400},
    {"a30", 1440, 165, 0, 10.3, 1440, 933, 165},
    {"rtx-a5000", 1695, 111.1, 0, 27.8, 1695, 768, 230},
    {"a40", 1740, 149.7, 0, 37.4, 1740, 696, 300},
    {"rtx-3090", 1695, 71.2, 0, 35.6, 1695, 936, 350},
    {"l40", 2490, 181, 362, 90.5, 2490, 864, 300},
    {"l4", 2040, 121, 242, 30.3, 2040, 300, 72},
    {"rtx-5090", 2407, 209.5, 419, 104.8, 2407, 1792, 575},
    {"mi210", 1700, 181, 0, 22.6, 1700, 1638, 300},
    {"mi325x", 2100, 1307.4, 2614.9, 163.4, 2100, 6000, 1000},
    {"mi355x", 2400, 2516.6, 5033, 157.3, 2400, 8000, 1400},
    {"gb200", 2062, 2500, 5000, 78.1, 2062, 8000, 1200},
    {"b300", 1856, 2250, 4500, 77.0, 2032, 8000, 1100},
    {"gb300", 2062, 2500, 5000, 78.4, 2070, 8000, 1400},
};

}  // namespace

TEST_CASE("matrix, FP32 and memory peaks agree with the datasheets within 0.5 per cent") {
  for (const Datasheet& sheet : kDatasheets) {
    INFO(sheet.chip);
    const Chip chip = load_chip(sheet.chip);
    const double clocks = chip.sm.count * sheet.rated_mhz * 1e6;
    CHECK(chip.tensor_flop_per_clk("bf16") * clocks / 1e12 == Approx(sheet.bf16_tflops).epsilon(0.005));
    CHECK(chip.tensor_flop_per_clk("f16") == chip.tensor_flop_per_clk("bf16"));
    CHECK(chip.tensor_flop_per_clk("f8") * clocks / 1e12 == Approx(sheet.f8_tflops).epsilon(0.005));
    CHECK(2 * chip.sm.fp32_lanes * chip.sm.count * sheet.fp32_mhz * 1e-6 == Approx(sheet.fp32_tflops).epsilon(0.005));
    CHECK(chip.hbm.bandwidth_gb_per_s == sheet.memory_gb_per_s);
    CHECK(chip.power.cap_w == sheet.power_w);
    CHECK(chip.clock.boost_mhz >= sheet.rated_mhz);
  }
}

TEST_CASE("the tpu-like chip reaches the public peak of its model") {
  CHECK(load_chip("tpu-like").peak_tflops("bf16") == Approx(459).epsilon(0.005));
}

TEST_CASE("the H100 ridge is near 295 FLOP per byte at its rated clock") {
  const Chip chip = load_chip("h100-sxm");
  const double at_boost = chip.peak_tflops("bf16") * 1e3 / chip.hbm.bandwidth_gb_per_s;
  CHECK(at_boost * 1830 / chip.clock.boost_mhz == Approx(295).epsilon(0.005));
}

TEST_CASE("on-chip bandwidths rise towards the core") {
  for (const std::string& name : chip_names()) {
    INFO(name);
    const Chip chip = load_chip(name);
    const double l2 = chip.l2.bandwidth_bytes_per_clk * chip.clock.boost_mhz * 1e-3;
    CHECK(chip.hbm.bandwidth_gb_per_s < l2);
    CHECK(chip.l2.bandwidth_bytes_per_clk < chip.sm.smem_bytes_per_clk * chip.sm.count);
  }
}
