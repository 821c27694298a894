// SPDX-License-Identifier: Apache-2.0
// Instruction selection: from tile ops to instructions and pipe demands, by one table per ISA (tables/ISA.json). Contracts
// patterns (scale and subtract -> FFMA, packed convert) and forms chains of element-wise ops of one agent. Bounds and engine
// both read its output; it knows neither.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/kernel.h"
#include "sim/ir/pipeline.h"

namespace attnsim {

enum class Pipe : std::uint8_t { tensor, fp32, alu, sfu, issue, smem, tmem };
inline constexpr std::size_t kPipeCount = 7;
[[nodiscard]] std::string_view name_of(Pipe p);
using PipeCycles = std::array<double, kPipeCount>;  // cycles of the SM's whole pipe (all sub-partitions) at its full rate

enum class StepKind : std::uint8_t { chain, mma, load, store, signal, await };

// One or more ops of an agent that execute as a unit. Demands are for padded shapes; copies carry bytes at run time.
struct Step {
  StepKind kind = StepKind::chain;
  ir::When when = ir::When::always;
  int skew = 0;
  int position = 0;                // of the first op in the agent's section
  std::vector<const ir::Op*> ops;  // into the kernel's program, in order; the kernel outlives the selection
  PipeCycles demand{};             // copies: issue only
  double occupancy_cycles = 0;     // exclusive time on the vector unit (chain) or tensor pipe (mma) at full SM width
  double latency_cycles = 0;       // dependent latency after the last group issues
  double stall_cycles = 0;         // of a streamed operand between its slices; shrinks where SMEM is the slower, so no part of a bound
  int groups = 1;                  // instruction groups that the pipes serve one by one
  bool async = false;              // agent goes on after issue
  bool interleaved = false;        // Agent::interleaved
  std::vector<ir::TileId> waits;   // register tiles that must be free of pending asynchronous ops
  std::vector<ir::TileId> writes;  // tiles written
  double fp32_ops = 0;             // lane operations
  double alu_ops = 0;
  double sfu_ops = 0;
  double exp_count = 0;
  double polynomial_exps = 0;  // of those, computed on the lanes, with these lane operations:
  double polynomial_fp32_ops = 0;
  double polynomial_alu_ops = 0;
  double warp_instructions = 0;
  double tensor_flops = 0;
  int operand_bits = 16;  // of an MMA's A
  double smem_bytes = 0;
  double tmem_bytes = 0;  // between tensor memory and registers; what MMAs read and write there is free
};

struct SelectedAgent {
  double width = 1;  // fraction of the SM's sub-partitions that its warps reach: min(1, warps / 4)
  std::vector<std::vector<Step>> sections;
};

struct SelectedKernel {
  const ir::Kernel* kernel = nullptr;
  std::vector<SelectedAgent> agents;
};

// Throws SimError when the chip's ISA table has no instruction for an op.
[[nodiscard]] SelectedKernel select_instructions(const ir::Kernel& kernel, const Chip& chip);
// By node of the pipeline; without a kernel for transfers and gaps.
[[nodiscard]] std::vector<SelectedKernel> select_instructions(const ir::Pipeline& pipeline, const Chip& chip);

}  // namespace attnsim
