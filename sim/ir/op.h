// SPDX-License-Identifier: Apache-2.0
// The closed set of tile operations. A new op is one row of `kOpTable` (op.cpp), its value rule (sim/value) and its
// cost rule (sim/select), and a property test.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace attnsim::ir {

enum class OpKind : std::uint8_t {
  load,
  store,
  gather,
  scatter,
  atomic,
  view,
  iota,
  compare,
  mma,
  unary,
  binary,
  reduce_row,
  reduce_col,
  broadcast,
  select,
  convert,
  transpose,
  scan,
  top_k,
  sort,
  compact,
  hash,
  random,
  pool,
  convolution,
  look_up,
  signal,
  await
};

// What a unary, binary, reduce or scan op computes.
enum class Fn : std::uint8_t {
  none,
  copy,
  negate,
  exp2,
  log2,
  reciprocal,
  finite_or_zero,  // unary; finite_or_zero maps infinities to 0
  add,
  subtract,
  multiply,
  maximum,
  minimum,
  logical_and,  // binary, reduce
  zero,         // unary without operand: fills the output with 0
  absolute,
  logical_not,   // unary; 1 where the operand is 0
  floor_divide,  // binary, rounds down
  modulo,        // binary, a - floor_divide(a, b) * b
  less,          // binary; comparisons and logic give 0 or 1, and anything but 0 is true
  less_equal,
  equal,
  logical_or,
  bit_and,  // binary, of integers
  tanh      // unary
};

enum class DType : std::uint8_t { f32, f16, bf16, f8, i32, pred };
[[nodiscard]] int bits_of(DType t);
[[nodiscard]] std::string_view name_of(DType t);

// Which class of unit an op needs; the instruction-selection table maps it to pipes.
enum class OpClass : std::uint8_t { copy, matrix, elementwise, reduction, sync, free };

struct OpInfo {
  OpKind kind;
  std::string_view name;
  OpClass op_class;
  std::string_view description;
};
[[nodiscard]] std::span<const OpInfo> op_table();
[[nodiscard]] const OpInfo& info(OpKind kind);
[[nodiscard]] std::string_view name_of(Fn fn);

}  // namespace attnsim::ir
