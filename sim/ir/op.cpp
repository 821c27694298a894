// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/op.h"

#include "sim/core/error.h"

namespace attnsim::ir {

namespace {

constexpr std::array kOpTable{
    OpInfo{OpKind::load, "load", OpClass::copy, "tile from a global tensor into SMEM or registers"},
    OpInfo{OpKind::store, "store", OpClass::copy, "tile from SMEM or registers to a global tensor"},
    OpInfo{OpKind::gather, "gather", OpClass::copy, "rows by index from a global tensor"},
    OpInfo{OpKind::scatter, "scatter", OpClass::copy, "rows by index to a global tensor"},
    OpInfo{OpKind::atomic, "atomic", OpClass::copy, "read-modify-write of a global tensor"},
    OpInfo{OpKind::view, "view", OpClass::free, "slice, concatenate or reshape; moves nothing"},
    OpInfo{OpKind::iota, "iota", OpClass::elementwise, "a linear form of the coordinates"},
    OpInfo{OpKind::compare, "compare", OpClass::elementwise, "predicate tile of a linear relation of coordinates"},
    OpInfo{OpKind::mma, "mma", OpClass::matrix, "D = A B (+ D)"},
    OpInfo{OpKind::unary, "unary", OpClass::elementwise, "element-wise function of one tile"},
    OpInfo{OpKind::binary, "binary", OpClass::elementwise, "element-wise function of two tiles; vectors broadcast"},
    OpInfo{OpKind::reduce_row, "reduce_row", OpClass::reduction, "one value per row"},
    OpInfo{OpKind::reduce_col, "reduce_col", OpClass::reduction, "one value per column"},
    OpInfo{OpKind::broadcast, "broadcast", OpClass::free, "column vector to tile"},
    OpInfo{OpKind::select, "select", OpClass::elementwise, "kept elements of a tile, a constant elsewhere"},
    OpInfo{OpKind::convert, "convert", OpClass::elementwise, "change of element type"},
    OpInfo{OpKind::transpose, "transpose", OpClass::elementwise, "tile transpose"},
    OpInfo{OpKind::scan, "scan", OpClass::reduction, "prefix combination along rows or columns"},
    OpInfo{OpKind::top_k, "top_k", OpClass::reduction, "largest k per row, values and indices"},
    OpInfo{OpKind::sort, "sort", OpClass::reduction, "order rows by key"},
    OpInfo{OpKind::compact, "compact", OpClass::reduction, "indices of kept elements"},
    OpInfo{OpKind::hash, "hash", OpClass::elementwise, "bucket of each row"},
    OpInfo{OpKind::random, "random", OpClass::elementwise, "counter-based pseudo-random tile"},
    OpInfo{OpKind::pool, "pool", OpClass::reduction, "mean or maximum over groups of rows"},
    OpInfo{OpKind::convolution, "convolution", OpClass::elementwise, "depth-wise convolution along rows"},
    OpInfo{OpKind::look_up, "look_up", OpClass::elementwise, "elements of a row by their index"},
    OpInfo{OpKind::signal, "signal", OpClass::sync, "arrive at a token"},
    OpInfo{OpKind::await, "await", OpClass::sync, "wait for a token"},
};

}  // namespace

std::span<const OpInfo> op_table() {
  return kOpTable;
}

const OpInfo& info(OpKind kind) {
  const OpInfo& row = kOpTable.at(static_cast<std::size_t>(kind));
  require(row.kind == kind, "op table is out of order");
  return row;
}

int bits_of(DType t) {
  switch (t) {
    case DType::f32:
    case DType::i32: return 32;
    case DType::f16:
    case DType::bf16: return 16;
    case DType::f8: return 8;
    case DType::pred: return 1;
  }
  throw Invariant("unknown dtype");
}

std::string_view name_of(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::f8: return "f8";
    case DType::i32: return "i32";
    case DType::pred: return "pred";
  }
  throw Invariant("unknown dtype");
}

std::string_view name_of(Fn fn) {
  constexpr std::array<std::string_view, 24> kNames{"none",           "copy",       "negate",   "exp2",        "log2",         "reciprocal",
                                                    "finite_or_zero", "add",        "subtract", "multiply",    "maximum",      "minimum",
                                                    "logical_and",    "zero",       "absolute", "logical_not", "floor_divide", "modulo",
                                                    "less",           "less_equal", "equal",    "logical_or",  "bit_and",      "tanh"};
  return kNames.at(static_cast<std::size_t>(fn));
}

}  // namespace attnsim::ir
