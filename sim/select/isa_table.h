// SPDX-License-Identifier: Apache-2.0
// One instruction-selection table (sim/select/tables/ISA.json): which pipe serves which element-wise function, how matrix
// instructions tile, what contracts. `extends` names a table whose entries hold unless overridden.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/ir/program.h"

namespace attnsim {

enum class VectorPipe : std::uint8_t { none, fp32, alu, sfu };

struct ElementwiseRule {
  VectorPipe pipe = VectorPipe::none;
  double instructions = 1;                 // per `elements` elements of a lane
  double elements = 1;                     // elements that one lane instruction handles (packed convert: 2)
  double width = 1;                        // lane operations of one instruction on its pipe (packed f32x2: 2, at half the issue slots)
  double depth = 1;                        // instructions that follow one another: what it adds to a dependent latency
  std::vector<ElementwiseRule> then = {};  // what a function that is several instructions takes on other pipes
};

struct MmaRule {
  int m = 16;
  int n = 8;
  int k = 16;
  bool b_read_per_warp = false;  // each warp reads all of B from SMEM (mma.sync); else once per CTA-level instruction
  double rate_fraction = 1;      // issue rate / the chip's fastest matrix instruction (mma.sync on Hopper: about two thirds)
};

// How the lanes of an agent hold the elements of tiles in registers.
struct LaneLayout {
  double row_vector = 1;     // lanes that hold each element of a row vector [rows x 1]
  double column_vector = 1;  // likewise of a column vector [1 x cols]
  int shuffle_steps = 0;     // exchanges that finish a row reduction
  // Where lanes multiply (MmaKind::lanes): lanes that share a row of B's vectors, and so a row of the result, and the axis of the columns
  // of products that all of them hold.
  double row_lanes = 1;
  ir::AxisId repeated_columns = ir::kUnit;
};

struct IsaTable {
  std::string name;
  double row_vector_replication = 1;     // lanes that hold each element of a row vector
  double column_vector_replication = 1;  // lanes of a warp that hold each element of a column vector
  int reduce_shuffle_steps = 0;          // exchanges that finish a row reduction
  bool contract_multiply_add = false;
  double copy_bytes_per_lane = 16;
  double atomic_bytes_per_lane = 4;                    // of an atomic that the copy engine does not execute
  double copy_address_instructions = 1;                // per copy instruction
  std::map<std::string, ElementwiseRule> elementwise;  // by function; reduce_, integer_ and precise_FUNCTION where these differ
  std::vector<ElementwiseRule> exp2_polynomial;        // instructions of an exp2 on the lanes instead of the SFU
  // The same for agents whose tiles come from tensor memory, where a thread holds a whole row.
  double tmem_row_vector_replication = 1;
  double tmem_column_vector_replication = 1;
  int tmem_reduce_shuffle_steps = 0;
  std::map<ir::MmaKind, MmaRule> mma;
};

// The rule of an element-wise op or reduction of the program; nullptr when the table has none.
// A division or modulo by a number that the compiler does not know. The first one of a chain by some number makes its reciprocal as well
// (rule "reciprocal_of_variable").
[[nodiscard]] bool divides_by_variable(const ir::Op& op);
[[nodiscard]] const ElementwiseRule* elementwise_rule(const IsaTable& table, const ir::Program& program, const ir::Op& op);
[[nodiscard]] std::string rule_name(const ir::Op& op);

[[nodiscard]] LaneLayout lane_layout(const IsaTable& table, const ir::Program& program, const ir::Agent& agent);
[[nodiscard]] double replication(const LaneLayout& layout, const ir::Tile& tile);
// Whether an agent's vector ops touch tensor memory: then each of its threads holds whole rows.
[[nodiscard]] bool agent_uses_tmem(const ir::Program& program, const ir::Agent& agent);

// Throws ConfigError when no table of that name is shipped or it is malformed.
// It stays for the life of the program.
[[nodiscard]] const IsaTable& load_isa_table(const std::string& isa);
[[nodiscard]] std::vector<std::string> isa_names();

}  // namespace attnsim
