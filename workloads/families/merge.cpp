// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/merge.h"

#include <limits>
#include <numbers>

namespace attnsim {

using ir::Fn;

ops::Ops row_state_start(ir::TileId o, ir::TileId l, ir::TileId m) {
  return {ops::zero(o), ops::zero(l), ops::zero(m), ops::binary(Fn::add, m, -std::numeric_limits<double>::infinity(), m)};
}

ops::Ops normalize(ir::TileId o, ir::TileId l, ir::TileId inverse) {
  return {ops::unary(Fn::reciprocal, l, inverse), ops::unary(Fn::finite_or_zero, inverse, inverse),
          ops::binary(Fn::multiply, o, inverse, o)};
}

ops::Ops merge_start(const MergeTiles& t) {
  return row_state_start(t.o, t.l, t.m);
}

ops::Ops merge_load(const MergeTiles& t, ir::Access o_partial, ir::Access lse_partial, ir::CopyKind copy) {
  std::vector<ir::TokenId> completes;
  if (t.full != ir::kNone) completes.push_back(t.full);
  return {ops::load(t.part_lse, lse_partial, copy, completes), ops::load(t.part_o, o_partial, copy, completes)};
}

ops::Ops merge_step(const MergeTiles& t) {
  ops::Ops list;
  if (t.full != ir::kNone) list.push_back(ops::await(t.full));
  ops::append(list, {
                        ops::binary(Fn::maximum, t.m, t.part_lse, t.m_new),
                        ops::unary(Fn::finite_or_zero, t.m_new, t.m_safe),
                        ops::binary(Fn::subtract, t.m, t.m_safe, t.alpha),
                        ops::unary(Fn::exp2, t.alpha, t.alpha),
                        ops::binary(Fn::subtract, t.part_lse, t.m_safe, t.beta),
                        ops::unary(Fn::exp2, t.beta, t.beta),
                        ops::binary(Fn::multiply, t.o, t.alpha, t.o),
                        ops::binary(Fn::multiply, t.part_o, t.beta, t.scaled),
                        ops::binary(Fn::add, t.o, t.scaled, t.o),
                        ops::binary(Fn::multiply, t.l, t.alpha, t.l),
                        ops::binary(Fn::add, t.l, t.beta, t.l),
                        ops::unary(Fn::copy, t.m_new, t.m),
                    });
  return list;
}

ops::Ops merge_finish(const MergeTiles& t) {
  ops::Ops list = normalize(t.o, t.l, t.beta);
  ops::append(list, {ops::unary(Fn::log2, t.l, t.alpha), ops::binary(Fn::add, t.alpha, t.m, t.alpha),
                     ops::binary(Fn::multiply, t.alpha, std::numbers::ln2, t.alpha)});
  return list;
}

}  // namespace attnsim
