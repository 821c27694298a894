// SPDX-License-Identifier: Apache-2.0
// What kernels evaluate per pair: coordinates of query and key from their positions, the window of the query's stride group, and
// two comparisons per axis. As NATTEN's kernels do it (fna_fusion.hpp), in every trip anew. Stride and numbers of tiles are numbers that
// they are told at launch, tile shapes are compiled in (but for NATTEN's Ampere kernel, which is told those too). Backward
// (fna_fusion_bwd.hpp) a key has a window of queries.
#include "workloads/masks/gna.h"

namespace attnsim {

namespace {

Expression all_of(const std::vector<Expression>& terms) {
  Expression e = terms.front();
  for (std::size_t i = 1; i < terms.size(); ++i) e = e && terms[i];
  return e;
}

// A division by 1 and a remainder of what is smaller anyway are not computed.
Expression quotient(const Expression& e, std::int64_t by) {
  return by == 1 ? e : e / by;
}
Expression remainder(const Expression& e, std::int64_t by) {
  return by == 1 ? Expression(0) : e % by;
}
Expression scaled(const Expression& e, std::int64_t by) {
  return by == 1 ? e : e * by;
}

bool is_zero(const Expression& e) {
  return e.node().kind == ExpressionKind::constant && e.node().value == 0;
}
Expression sum(const Expression& a, const Expression& b) {
  return is_zero(a) ? b : is_zero(b) ? a : a + b;
}

// By a number that the kernel is only told at launch, which its compiler can't turn into a multiplication: value 1 of the node says so.
Expression at_launch(ExpressionKind kind, const Expression& e, std::int64_t by) {
  return Expression(ExpressionNode{kind, 1, {e, by}});
}
Expression launch_divide(const Expression& e, std::int64_t by) {
  return at_launch(ExpressionKind::divide, e, by);
}
Expression launch_modulo(const Expression& e, std::int64_t by) {
  return at_launch(ExpressionKind::modulo, e, by);
}

// One of `times` results: the others repeat it (mask_code.h).
Expression repeated(Expression e, std::int64_t times) {
  ExpressionNode node = e.node();
  const bool told = node.kind == ExpressionKind::divide || node.kind == ExpressionKind::modulo || node.of.empty();
  if (told || times == 1) return e;
  node.value = times;
  return Expression(std::move(node));
}

// The window of a query at `x` of an axis with `tokens` tokens in its class: keys [begin, end).
struct Window {
  Expression begin;
  Expression end;
};
Window window_at(const GnaAxis& axis, const Expression& x, const Expression& tokens) {
  const Expression group = launch_divide(x, axis.stride) * axis.stride;
  if (axis.causal) {
    const Expression leader = minimum(group + (axis.stride - 1), tokens - 1);
    return {maximum(leader - (axis.window - 1), 0), minimum(x + 1, tokens)};
  }
  const Expression leader = minimum(sum(group, axis.stride / 2), tokens - 1);
  const Expression begin = minimum(maximum(leader - axis.window / 2, 0), tokens - axis.window);
  return {begin, begin + axis.window};
}

// 1 where e > 0, else 0.
Expression is_positive(const Expression& e) {
  return minimum(maximum(e, 0), 1);
}

// Queries [begin, end) that keep the key at `y`: whole stride groups, from the first whose window reaches the key to the last whose window
// begins before it. Windows that were shifted at the ends take their groups along.
Window queries_at(const GnaAxis& axis, const Expression& y, const Expression& tokens) {
  const auto groups_below = [&](const Expression& q) { return launch_divide(q, axis.stride) * axis.stride; };
  if (axis.causal) {
    const Expression beyond = y + axis.window;
    return {y, minimum(groups_below(beyond) + is_positive(beyond - (tokens - 1)) * tokens, tokens)};
  }
  const std::int64_t left = axis.window / 2;
  const std::int64_t right = axis.window - left - 1;
  const std::int64_t behind_leader = axis.stride - axis.stride / 2 - 1;
  const Expression begin = groups_below(is_positive(y - (axis.window - 1)) * (y + (behind_leader - right)));
  const Expression end = groups_below(y + (left + behind_leader + 1));
  return {begin, minimum(end + is_positive(y + (axis.window + 1) - tokens) * tokens, tokens)};
}

// First coordinate on axis `a` of the tile at a position: its number, modulo the tiles of the axis (also where that changes nothing).
// Where tiles come in groups, counted from the first one of its group.
Expression first_coordinate(const ir::RowOrder& order, std::size_t a, const Expression& position) {
  std::int64_t tile_pitch = 1;
  for (std::size_t b = a + 1; b < order.tile().size(); ++b) tile_pitch *= order.grid()[b];
  const bool last = a + 1 == order.tile().size();
  const Expression index = position / order.tile_volume();
  const std::int64_t tiles = order.has_groups() ? order.groups()[a].tiles : order.grid()[a];
  return scaled(launch_modulo(last ? index : launch_divide(index, tile_pitch), tiles), order.tile()[a]);
}

// And from there on the place of a token in its tile.
Expression inside(const ir::RowOrder& order, std::size_t a, const Expression& position) {
  std::int64_t pitch = 1;
  for (std::size_t b = a + 1; b < order.tile().size(); ++b) pitch *= order.tile()[b];
  const Expression at = quotient(position % order.tile_volume(), pitch);
  return a > 0 ? remainder(at, order.tile()[a]) : at;
}

// The same by the extents of a tile that the kernel is only told: a division per axis but the first, and what each leaves.
Expression inside_told(const ir::RowOrder& order, std::size_t a, const Expression& position) {
  Expression rest = position % order.tile_volume();
  for (std::size_t b = order.tile().size(); b-- > 1;) {
    const Expression above = launch_divide(rest, order.tile()[b]);
    if (b == a) return rest - above * order.tile()[b];
    rest = above;
  }
  return rest;
}

// Coordinate on axis `a` of the token at a position.
Expression coordinate(const ir::RowOrder& order, std::size_t a, const Expression& position, bool told) {
  return sum(first_coordinate(order, a, position), (told ? inside_told : inside)(order, a, position));
}

// Tokens on the axis in the class of the token at a position.
Expression tokens_of(const GnaShape& shape, std::size_t a, const ir::RowOrder& order, const Expression& position) {
  const GnaAxis& axis = shape.axes[a];
  if (axis.length % axis.dilation == 0) return axis.length / axis.dilation;
  std::int64_t pitch = order.tiles_per_class() * order.tile_volume();
  for (std::size_t b = a + 1; b < shape.axes.size(); ++b) pitch *= shape.axes[b].dilation;
  const Expression residue = (position / pitch) % axis.dilation;
  return (Expression(axis.length + axis.dilation - 1) - residue) / axis.dilation;
}

}  // namespace

MaskTest GnaMask::test() const {
  std::vector<Expression> terms;
  std::int64_t pitch = 1;
  for (std::size_t a = shape_.axes.size(); a-- > 0;) {
    const GnaAxis& axis = shape_.axes[a];
    const bool first = a == 0;
    const Expression x = first ? quotient(query(), pitch) : remainder(quotient(query(), pitch), axis.length);
    const Expression y = first ? quotient(key(), pitch) : remainder(quotient(key(), pitch), axis.length);
    pitch *= axis.length;
    if (axis.dilation == 1) {
      const Window w = window_at(axis, x, axis.length);
      terms.push_back(w.begin <= y);
      terms.push_back(y < w.end);
      continue;
    }
    const Expression residue = x % axis.dilation;
    const Expression tokens = (Expression(axis.length + axis.dilation - 1) - residue) / axis.dilation;
    const Window w = window_at(axis, x / axis.dilation, tokens);
    terms.push_back(residue == y % axis.dilation);
    terms.push_back(w.begin <= y / axis.dilation);
    terms.push_back(y / axis.dilation < w.end);
  }
  Expression kept = all_of(terms);
  if (shape_.extra_keys > 0) kept = kept || key() >= shape_.tokens();
  return {{kept}, {}, {}};
}

MaskTest GnaTileMask::test() const {
  const bool window = !natten_fully_block_sparse();
  if (!window && !kv_padding()) return {};
  const bool told = kv_order_.has_groups();  // NATTEN's Ampere kernel cuts tiles to the layout and the window
  std::vector<Expression> terms;
  std::int64_t places = kv_order_.tile_volume();
  for (std::size_t a = 0; a < shape_.axes.size(); ++a) {
    const Expression tokens = tokens_of(shape_, a, q_order_, query());
    Expression tile = first_coordinate(kv_order_, a, key());
    if (kv_order_.has_groups()) {  // from the first key of the item's first query on, which is known ahead of the loop
      const Expression first = first_coordinate(q_order_, a, query());
      tile = window_at(shape_.axes[a], first, tokens).begin + tile;
    }
    const Expression at = (told ? inside_told : inside)(kv_order_, a, key());
    // Of columns that the compiler doesn't know none repeats another.
    const Expression y = told ? sum(tile, at) : repeated(sum(tile, at), kv_order_.tile_volume() / kv_order_.tile()[a]);
    if (!window) {
      terms.push_back(y < tokens);
      continue;
    }
    const Window w = window_at(shape_.axes[a], coordinate(q_order_, a, query(), told), tokens);
    if (told) {
      terms.push_back(w.begin <= y);
      terms.push_back(y - w.begin < (shape_.axes[a].causal ? w.end - w.begin : Expression(shape_.axes[a].window)));
      continue;
    }
    // Joined in order of axes, a pair of comparisons is the same along the axes that come after.
    places /= kv_order_.tile()[a];
    terms.push_back(repeated(w.begin <= y, places));
    terms.push_back(repeated(y < w.end, places));
  }
  Expression kept = all_of(terms);
  if (shape_.extra_keys > 0) kept = kept || key() >= kv_order_.places();
  return {{kept}, {}, {}};
}

MaskTest GnaTileMask::test_by_key() const {
  if (natten_fully_block_sparse() || shape_.extra_keys > 0) return test();
  std::vector<Expression> terms;
  std::int64_t places = q_order_.tile_volume();
  for (std::size_t a = 0; a < shape_.axes.size(); ++a) {
    const Expression x = repeated(coordinate(q_order_, a, query(), false), q_order_.tile_volume() / q_order_.tile()[a]);
    const Window w = queries_at(shape_.axes[a], coordinate(kv_order_, a, key(), false), tokens_of(shape_, a, kv_order_, key()));
    places /= q_order_.tile()[a];
    terms.push_back(repeated(w.begin <= x, places));
    terms.push_back(repeated(x < w.end, places));
  }
  return {{all_of(terms)}, {}, {}};
}

}  // namespace attnsim
