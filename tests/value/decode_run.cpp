// SPDX-License-Identifier: Apache-2.0
#include "tests/value/decode_run.h"

#include <algorithm>
#include <cmath>

#include "sim/value/value_run.h"
#include "tests/support/draw.h"
#include "tests/support/value_checks.h"
#include "tests/value/place.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"
#include "workloads/reference/attention.h"

namespace attnsim::test {

namespace {

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

reference::AttentionInputs draw_inputs(const DecodeCase& c) {
  const Problem& p = c.problem;
  reference::AttentionInputs in;
  in.batch = p.batch;
  in.q_heads = p.q_heads;
  in.kv_heads = p.kv_heads;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    in.q_len.push_back(p.q_len_of(b));
    in.kv_len.push_back(p.kv_len_of(b));
  }
  in.max_q_len = *std::max_element(in.q_len.begin(), in.q_len.end());
  in.max_kv_len = *std::max_element(in.kv_len.begin(), in.kv_len.end());
  in.head_dim_qk = p.head_dim_qk;
  in.head_dim_v = p.head_dim_v;
  Draw draw(3);
  const auto numbers = [&](std::int64_t n) {
    std::vector<double> values(index(n));
    for (double& x : values) x = draw.number(-2, 2);
    return values;
  };
  const std::int64_t keys = p.batch * p.kv_heads * in.max_kv_len;
  in.q = numbers(p.batch * p.q_heads * in.max_q_len * p.head_dim_qk);
  in.k = numbers(keys * p.head_dim_qk);
  in.v = numbers(keys * p.head_dim_v);
  if (variant(c.variant).v_in_k) {
    for (std::int64_t row = 0; row < keys; ++row) {
      for (std::int64_t d = 0; d < p.head_dim_v; ++d) in.v[index(row * p.head_dim_v + d)] = in.k[index(row * p.head_dim_qk + d)];
    }
  }
  return in;
}

// Calls visit(b, h, q, row of the reference's query tensors).
template <class F>
void each_query(const Problem& p, std::int64_t max_q_len, F visit) {
  for (std::int64_t b = 0; b < p.batch; ++b) {
    for (std::int64_t h = 0; h < p.q_heads; ++h) {
      for (std::int64_t q = 0; q < p.q_len_of(b); ++q) visit(b, h, q, (b * p.q_heads + h) * max_q_len + q);
    }
  }
}

std::vector<value::TensorData> decode_inputs(const ir::Pipeline& pipeline, const Problem& p, const reference::AttentionInputs& in) {
  std::vector<value::TensorData> inputs;
  for (const ir::Tensor& t : pipeline.tensors()) {
    if (t.role != ir::TensorRole::input) continue;
    value::TensorData data(t.slabs, t.rows, t.cols, 0.5);
    if (t.name == "k") data.values = in.k;
    if (t.name == "v") data.values = in.v;
    if (t.name == "q") {
      each_query(p, in.max_q_len, [&](std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t row) {
        const Place at = place(p, t.slabs, b, h, q);
        for (std::int64_t d = 0; d < p.head_dim_qk; ++d) data.at(at.slab, at.row, d) = in.q[index(row * p.head_dim_qk + d)];
      });
    }
    inputs.push_back(std::move(data));
  }
  return inputs;
}

void grow(double& worst, double error) {
  if (!(error <= worst)) worst = error;  // NaN stays
}

}  // namespace

ir::Pipeline lowered(const DecodeCase& c) {
  return lower(variant(c.variant), c.problem, load_schedule(c.schedule), c.chip);
}

double decode_error(const DecodeCase& c, const ir::Pipeline& pipeline, std::uint64_t seed) {
  const Problem& p = c.problem;
  const reference::AttentionInputs in = draw_inputs(c);
  const bool dense = c.variant == "dense";
  const auto wanted = reference::attention(in, [&](std::int64_t b, std::int64_t, std::int64_t q, std::int64_t k) {
    const std::int64_t behind = q + p.kv_len_of(b) - p.q_len_of(b) - k;
    return dense || (behind >= 0 && (c.left < 0 || behind <= c.left));
  });
  value::ValueRun run(pipeline, decode_inputs(pipeline, p, in));
  run.run_random({.seed = seed});
  const ir::TensorId o = id_of(pipeline, "o");
  const ir::TensorId lse = id_of(pipeline, "lse");
  const std::int64_t slabs = pipeline.tensors()[static_cast<std::size_t>(o)].slabs;
  double worst = 0;
  each_query(p, in.max_q_len, [&](std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t row) {
    const Place at = place(p, slabs, b, h, q);
    double largest = 0;
    double error = 0;
    for (std::int64_t d = 0; d < p.head_dim_v; ++d) {
      const double expected = wanted.o[index(row * p.head_dim_v + d)];
      grow(error, std::abs(run.tensor(o).at(at.slab, at.row, d) - expected));
      largest = std::max(largest, std::abs(expected));
    }
    grow(worst, largest > 0 ? error / largest : error);
    const double natural = wanted.lse_log2[index(row)] * std::log(2.0);
    const double got = run.tensor(lse).at(at.slab, at.row, 0);
    grow(worst, std::isinf(natural) ? (got == natural ? 0 : INFINITY) : std::abs(got - natural));
  });
  return worst;
}

}  // namespace attnsim::test
