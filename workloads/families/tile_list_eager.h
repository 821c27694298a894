// SPDX-License-Identifier: Apache-2.0
// Attention kernel by kernel, as PyTorch runs it when it is written out (form "eager"): every product, the mask, softmax by the library's
// own kernels, element-wise kernels between them, all through memory. What the forward pass keeps for the backward pass: Q, K, V in (head,
// token) order and P.
//
//   forward    copy_q copy_k copy_v  scores (scaled)  [modify]  softmax  output
//   backward   grad_v grad_weights  multiply softmax_backward  grad_q grad_k  [sums over a group's heads]  scale_dq scale_dk
//              copy_dq copy_dk copy_dv
//
// dS = P dP - P rowsum(P dP): PyTorch multiplies P and dP in a kernel of its own (aten/src/ATen/native/cuda/SoftMax.cu), and scales dQ and
// dK after their products (derivatives of baddbmm). Softmax takes `rows` of the schedule's first rule that admits the columns. Where the
// real kernel of K's copy transposes, and the copies back are one kernel that stacks, the bytes are the same.
//
// With EagerRules as PyTorch's math backend of scaled_dot_product_attention runs it (aten/src/ATen/native/transformers/attention.cpp):
//
//   forward    convert_q convert_k convert_v  scale_q  expand_k expand_v  scale_k  scores  modify  softmax  masked masked_rows clear_rows
//              output  convert_o convert_weights
//   backward   convert_do  (as above on scaled and expanded operands)  scale_dk  sums  convert_dq convert_dk convert_dv
#pragma once

#include <vector>

#include "workloads/families/tile_list.h"

namespace attnsim {

// The problem in the element type that the schedule computes in.
[[nodiscard]] Problem eager_problem(const Problem& problem, const Schedule& schedule);
// `given`: the element type of Q, K, V and O; the plan's is the one in between.
void add_eager_forward(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, const Chip& chip,
                       const TileListTensors& tensors, ir::DType given);
[[nodiscard]] ir::Pipeline lower_eager_backward(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                                const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
