// SPDX-License-Identifier: Apache-2.0
#include "sim/value/execute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/error.h"

namespace attnsim::value {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A value that was never written stays one through comparisons and logic.
double truth(double x) {
  return std::isnan(x) ? x : x != 0 ? 1.0 : 0.0;
}
double compared(double x, double y, bool outcome) {
  return std::isnan(x) || std::isnan(y) ? x + y : outcome ? 1.0 : 0.0;
}

double apply(ir::Fn fn, double x) {
  switch (fn) {
    case ir::Fn::copy: return x;
    case ir::Fn::negate: return -x;
    case ir::Fn::exp2: return std::exp2(x);
    case ir::Fn::log2: return std::log2(x);
    case ir::Fn::reciprocal: return 1.0 / x;
    case ir::Fn::finite_or_zero: return std::isinf(x) ? 0.0 : x;
    case ir::Fn::zero: return 0.0;
    case ir::Fn::absolute: return std::abs(x);
    case ir::Fn::logical_not: return 1.0 - truth(x);
    case ir::Fn::tanh: return std::tanh(x);
    default: throw SimError(fmt::format("{} is no unary function", name_of(fn)));
  }
}

// A maximum passes NaN on, so that a value that was never written isn't lost in it.
double apply(ir::Fn fn, double x, double y) {
  switch (fn) {
    case ir::Fn::add: return x + y;
    case ir::Fn::subtract: return x - y;
    case ir::Fn::multiply: return x * y;
    case ir::Fn::maximum: return std::isnan(x) || std::isnan(y) ? x + y : std::max(x, y);
    case ir::Fn::minimum: return std::isnan(x) || std::isnan(y) ? x + y : std::min(x, y);
    case ir::Fn::logical_and: return truth(x) * truth(y);
    case ir::Fn::floor_divide: return std::floor(x / y);
    case ir::Fn::modulo: return x - std::floor(x / y) * y;
    case ir::Fn::less: return compared(x, y, x < y);
    case ir::Fn::less_equal: return compared(x, y, x <= y);
    case ir::Fn::equal: return compared(x, y, x == y);
    case ir::Fn::bit_and:
      if (std::isnan(x) || std::isnan(y)) return x + y;
      return static_cast<double>(static_cast<std::int64_t>(x) & static_cast<std::int64_t>(y));
    case ir::Fn::logical_or: return compared(x, y, x != 0 || y != 0);
    default: throw SimError(fmt::format("{} is no binary function", name_of(fn)));
  }
}

double neutral(ir::Fn fn) {
  switch (fn) {
    case ir::Fn::add: return 0;
    case ir::Fn::multiply:
    case ir::Fn::logical_and: return 1;
    case ir::Fn::maximum: return -kInfinity;
    case ir::Fn::minimum: return kInfinity;
    default: throw SimError(fmt::format("{} is no reduction", name_of(fn)));
  }
}

class Executor {
 public:
  Executor(const ir::Program& program, const Instance& instance, CtaMemory& memory, std::span<TensorData> tensors)
      : program_(program), at_(instance), op_(*instance.op), memory_(memory), tensors_(tensors) {}

  void run() {
    switch (op_.kind) {
      case ir::OpKind::signal:
      case ir::OpKind::await: return;
      case ir::OpKind::load: return write([&](std::int64_t i, std::int64_t j) { return global(out(), i, j); });
      case ir::OpKind::store: return store([](double, double x) { return x; });
      case ir::OpKind::atomic: return store([&](double old, double x) { return apply(op_.fn, old, x); });
      case ir::OpKind::mma: return mma();
      case ir::OpKind::unary: return unary();
      case ir::OpKind::binary: return binary();
      case ir::OpKind::view:
      case ir::OpKind::convert:
      case ir::OpKind::broadcast: return write([&](std::int64_t i, std::int64_t j) { return operand(0, i, j); });
      case ir::OpKind::select:
        return write([&](std::int64_t i, std::int64_t j) { return operand(1, i, j) != 0 ? operand(0, i, j) : op_.scalar.value_or(0); });
      case ir::OpKind::compare: return write([&](std::int64_t i, std::int64_t j) { return linear_form(i, j) >= 0 ? 1.0 : 0.0; });
      case ir::OpKind::iota: return write([&](std::int64_t i, std::int64_t j) { return static_cast<double>(linear_form(i, j)); });
      case ir::OpKind::transpose: return write([&](std::int64_t i, std::int64_t j) { return operand(0, j, i); });
      case ir::OpKind::look_up: return look_up();
      case ir::OpKind::reduce_row: return reduce(true);
      case ir::OpKind::reduce_col: return reduce(false);
      default: throw SimError(fmt::format("op {} ({}) has no value rule yet", info(op_.kind).name, op_.role));
    }
  }

 private:
  [[nodiscard]] const ir::Tile& tile(ir::TileId id) const { return program_.tiles[static_cast<std::size_t>(id)]; }
  [[nodiscard]] ir::TileId out() const { return op_.out.at(0); }
  [[nodiscard]] std::int64_t rows(ir::TileId id) const { return at_.valid(program_, tile(id).rows); }
  [[nodiscard]] std::int64_t cols(ir::TileId id) const { return at_.valid(program_, tile(id).cols); }

  [[nodiscard]] double operand(std::size_t which, std::int64_t i, std::int64_t j) {
    const ir::TileId id = op_.in.at(which);
    return memory_.slot(id, at_.slot)(program_.padded(tile(id).rows) == 1 ? 0 : i, program_.padded(tile(id).cols) == 1 ? 0 : j);
  }

  // In-place ops are common, so the result is formed before it is written.
  template <class F>
  void write(F&& element) {
    auto target = memory_.slot(out(), at_.slot);
    Matrix result = Matrix::Zero(target.rows(), target.cols());
    if (op_.parts > 1) result = target;
    const auto [first, last] = part_of(program_.padded(tile(out()).cols), cols(out()));
    const std::int64_t m = rows(out());
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = first; j < last; ++j) result(i, j) = element(i, j);
    }
    target = result;
  }

  // The op's part of `padded` columns, of which `valid` hold data: from, to.
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> part_of(std::int64_t padded, std::int64_t valid) const {
    const std::int64_t width = padded / op_.parts;
    const std::int64_t first = std::min(valid, op_.part * width);
    return {first, std::min(valid, first + width)};
  }

  void unary() {
    write([&](std::int64_t i, std::int64_t j) { return op_.in.empty() ? apply(op_.fn, 0.0) : apply(op_.fn, operand(0, i, j)); });
  }

  void binary() {
    write([&](std::int64_t i, std::int64_t j) { return apply(op_.fn, operand(0, i, j), op_.scalar ? *op_.scalar : operand(1, i, j)); });
  }

  void look_up() {
    const std::int64_t n = cols(op_.in.at(0));
    write([&](std::int64_t i, std::int64_t j) {
      const double index = operand(1, i, j);
      if (std::isnan(index)) return index;
      if (index < 0 || index >= static_cast<double>(n)) throw SimError(fmt::format("{} looks up element {} of {}", op_.role, index, n));
      return operand(0, 0, static_cast<std::int64_t>(index));
    });
  }

  void reduce(bool along_row) {
    const std::int64_t n = along_row ? cols(op_.in.at(0)) : rows(op_.in.at(0));
    write([&](std::int64_t i, std::int64_t j) {
      double sum = neutral(op_.fn);
      for (std::int64_t k = 0; k < n; ++k) sum = apply(op_.fn, sum, along_row ? operand(0, i, k) : operand(0, k, j));
      return sum;
    });
  }

  void mma() {
    const ir::TileId a = op_.in.at(0);
    const ir::TileId b = op_.in.at(1);
    const std::int64_t m = rows(out());
    const std::int64_t n = cols(out());
    const auto [first, last] = part_of(program_.padded(op_.a_transposed ? tile(a).rows : tile(a).cols),
                                       std::min(op_.a_transposed ? rows(a) : cols(a), op_.b_transposed ? cols(b) : rows(b)));
    const std::int64_t k = last - first;
    const auto left = memory_.slot(a, at_.slot);
    const auto right = memory_.slot(b, at_.slot);
    Matrix x = op_.a_transposed ? Matrix(left.block(first, 0, k, m).transpose()) : Matrix(left.block(0, first, m, k));
    Matrix y = op_.b_transposed ? Matrix(right.block(0, first, n, k).transpose()) : Matrix(right.block(first, 0, k, n));
    auto target = memory_.slot(out(), at_.slot);
    Matrix result = Matrix::Zero(target.rows(), target.cols());
    if (op_.accumulate) result.topLeftCorner(m, n) = target.topLeftCorner(m, n);
    if (k > 0) result.topLeftCorner(m, n) += x.lazyProduct(y);
    target = result;
  }

  [[nodiscard]] std::int64_t linear_form(std::int64_t i, std::int64_t j) const {
    const ir::Relation& r = op_.relation;
    const std::int64_t row = at_.first_row(program_, tile(out()).rows) + i;
    const std::int64_t col = at_.first_row(program_, tile(out()).cols) + j;
    const ir::ItemFamily& family = *at_.item.family;
    const std::int64_t ragged = r.extent_coefficient * family.loop_extent + r.shift_coefficient * family.shift;
    const std::int64_t own = r.parameter == ir::kNone ? 0 : family.parameters.at(static_cast<std::size_t>(r.parameter));
    return r.row_coefficient * (row / r.row_group) + r.col_coefficient * col + r.offset + ragged + own;
  }

  // Where the values lie.
  [[nodiscard]] TensorData& tensor() const {
    TensorData& t = tensors_[static_cast<std::size_t>(op_.access.tensor)];
    return t.same_memory < 0 ? t : tensors_[static_cast<std::size_t>(t.same_memory)];
  }

  static constexpr auto kNowhere = static_cast<std::size_t>(-1);
  // Index of element (i, j) of tile `id` in the tensor's values; kNowhere at the padding of an order.
  [[nodiscard]] std::size_t address(ir::TileId id, std::int64_t i, std::int64_t j) const {
    const ir::Access& a = op_.access;
    const TensorData& t = tensors_[static_cast<std::size_t>(a.tensor)];
    std::int64_t slab = a.slab_of(at_.item.slab);
    if (a.add_split) slab += at_.item.tile->split;
    if (a.add_trip) slab += at_.visited;
    std::int64_t row = a.row_offset + i;
    if (a.row_from == ir::RowFrom::item) row += at_.item.tile->row_begin;
    if (a.row_from == ir::RowFrom::trip) row += at_.visited * program_.padded(tile(id).rows);
    j += a.column_begin;
    if (a.row_group > 1) {
      slab = slab * a.row_group + row % a.row_group;
      row /= a.row_group;
    }
    if (a.order != ir::kNone) {
      const ir::RowOrder& order = program_.orders[static_cast<std::size_t>(a.order)];
      row = order.row(row);
      if (row == ir::RowOrder::kPadding) return kNowhere;
    }
    if (slab < 0 || slab >= t.slabs || row < 0 || row >= t.rows || j >= t.cols) {
      throw SimError(fmt::format("{} reaches slab {}, row {}, column {} of tensor {} [{} x {} x {}]", op_.role, slab, row, j, a.tensor,
                                 t.slabs, t.rows, t.cols));
    }
    if (t.same_memory >= 0) {
      const TensorData& memory = tensor();
      const std::int64_t r = slab * t.rows + row;
      slab = r / memory.rows * (t.cols / memory.cols) + j / memory.cols;
      return static_cast<std::size_t>((slab * memory.rows + r % memory.rows) * memory.cols + j % memory.cols);
    }
    return static_cast<std::size_t>((slab * t.rows + row) * t.cols + j);
  }

  [[nodiscard]] double global(ir::TileId id, std::int64_t i, std::int64_t j) const {
    const std::size_t at = address(id, i, j);
    return at == kNowhere ? 0.0 : tensor().values[at];
  }

  template <class F>
  void store(F&& combine) {
    const ir::TileId id = op_.in.at(0);
    for (std::int64_t i = 0; i < rows(id); ++i) {
      for (std::int64_t j = 0; j < cols(id); ++j) {
        const std::size_t at = address(id, i, j);
        if (at == kNowhere) continue;
        double& target = tensor().values[at];
        target = combine(target, operand(0, i, j));
      }
    }
  }

  const ir::Program& program_;
  const Instance& at_;
  const ir::Op& op_;
  CtaMemory& memory_;
  std::span<TensorData> tensors_;
};

}  // namespace

void execute(const ir::Program& program, const Instance& instance, CtaMemory& memory, std::span<TensorData> tensors) {
  Executor(program, instance, memory, tensors).run();
}

}  // namespace attnsim::value
