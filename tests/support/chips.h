// SPDX-License-Identifier: Apache-2.0
// Chips with just the figures that a lowering reads, so that its tests don't move with the shipped chips.
#pragma once

#include "hwmodels/chip.h"

namespace attnsim::test {

inline Chip lowering_chip(const char* name, const char* isa, int sms, double smem_per_cta_kib, std::vector<std::string> instructions) {
  Chip chip;
  chip.name = name;
  chip.isa = isa;
  chip.sm.count = sms;
  chip.sm.max_threads = 2048;
  chip.sm.max_ctas = 32;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = smem_per_cta_kib + 1;
  chip.sm.smem_per_cta_kib = smem_per_cta_kib;
  chip.tensor.flop_per_clk_per_sm = {{"bf16", 4096}, {"f16", 4096}};
  chip.tensor.instructions = std::move(instructions);
  chip.hbm.capacity_gib = 80;
  return chip;
}
inline Chip h100() {
  return lowering_chip("h100", "sm_90", 132, 227, {"mma_sync", "wgmma"});
}
inline Chip a100() {
  return lowering_chip("a100", "sm_80", 108, 163, {"mma_sync"});
}
inline Chip l40s() {
  return lowering_chip("l40s", "sm_89", 142, 99, {"mma_sync"});
}
inline Chip b200() {
  Chip chip = lowering_chip("b200", "sm_100", 148, 227, {"mma_sync", "tcgen05"});
  chip.sm.tmem_kib = 256;
  chip.sm.tmem_bytes_per_clk = 512;
  return chip;
}
inline Chip systolic() {
  return lowering_chip("systolic", "generic", 8, 128, {"systolic"});
}

// Few, so that splits have several trips and rings wrap.
inline Chip with_sms(Chip chip, int sms) {
  chip.sm.count = sms;
  return chip;
}

}  // namespace attnsim::test
