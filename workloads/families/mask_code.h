// SPDX-License-Identifier: Apache-2.0
// Mask tests as straight-line code over a tile of pairs, before tiles have names: what the kernel of all item families executes.
// Linear inequalities of query and key become compares, linear forms iotas, per-token numbers loads, all else integer ops. A result
// depends on rows, columns or both, and is a vector or a tile accordingly. Of `key / c` and `key % c` with c a multiple of the KV tile and
// the KV tile itself, the first is one number per trip and the second known to the compiler, until it is divided by a number that the
// compiler isn't told; `query / c` with c a multiple of the query tile is one number per item. Constants in which families differ become
// parameters of the families.
//
// `value` of a node that is neither a number nor a table: 1 for a divisor that the kernel is told at launch; n > 1 where the result repeats
// over the pairs of a tile, so that a compiler computes one of n.
//
//   MaskCode code = mask_code({{"k <= q"}, {"k <= q"}}, 1);   // one compare, one keep
#pragma once

#include <optional>
#include <vector>

#include "sim/ir/program.h"
#include "workloads/masks/expression.h"

namespace attnsim {

struct MaskInstruction {
  ir::OpKind kind = ir::OpKind::compare;  // compare, iota, unary, binary, load
  ir::Fn fn = ir::Fn::none;
  ir::Relation relation;
  std::vector<int> in;  // instructions
  std::optional<double> scalar;
  bool by_row = false;
  bool by_column = false;
  bool by_trip = false;    // one number per trip
  bool by_item = false;    // one number per item
  bool immediate = false;  // the same in every trip: known to the compiler
  bool predicate = false;
  double share = 1;  // of its elements that are computed: the others repeat them
  int table = 0;     // of a load: query_values where by_row, key_values where by_column, pairs where both
};

struct MaskCode {
  std::vector<MaskInstruction> instructions;          // in order of execution
  std::vector<int> keeps;                             // a pair is kept where all of these hold
  std::vector<std::vector<std::int64_t>> parameters;  // [family][parameter]
  int query_tables = 0;
  int key_tables = 0;
  int pair_tables = 0;
};

// `tests`: one per item family. tile_kv, tile_q 0: not known. Throws ConfigError when they differ in more than constants and tables.
[[nodiscard]] MaskCode mask_code(const std::vector<MaskTest>& tests, std::int64_t row_group, std::int64_t tile_kv = 0,
                                 std::int64_t tile_q = 0);

}  // namespace attnsim
