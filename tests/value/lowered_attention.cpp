// SPDX-License-Identifier: Apache-2.0
#include "tests/value/lowered_attention.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "sim/value/value_run.h"
#include "tests/support/chips.h"
#include "tests/support/value_checks.h"
#include "tests/value/place.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

namespace attnsim::test {

namespace {

double pseudo_random(std::uint64_t index);

}  // namespace

double alibi_slope(std::int64_t head) {
  return std::exp2(-0.5 * static_cast<double>(head) - 1.5);
}

double bias_number(std::int64_t head, std::int64_t element) {
  return 3 * pseudo_random(static_cast<std::uint64_t>(1000000 + head * 100000 + element));
}

reference::Modifier modifier(const Problem& p) {
  const Score& s = p.score;
  if (s.plain()) return {};
  const auto coordinate = [s](std::int64_t token, std::size_t axis) {
    for (std::size_t a = s.bias_layout.size(); a-- > axis + 1;) token /= s.bias_layout[a];
    return s.bias_layout.empty() ? token : token % s.bias_layout[axis];
  };
  reference::Modifier m;
  m.value = [p, s, coordinate](std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k, double score) {
    const std::int64_t place = q + p.kv_len_of(b) - p.q_len_of(b);
    if (s.softcap > 0) score = s.softcap * std::tanh(score / s.softcap);
    if (s.alibi) score -= alibi_slope(h) * static_cast<double>(std::abs(place - k));
    std::int64_t element = 0;
    for (std::size_t a = 0; a < s.bias_radius.size(); ++a) {
      const std::int64_t offset = std::clamp(coordinate(k, a) - coordinate(place, a), -s.bias_radius[a], s.bias_radius[a]);
      element = element * (2 * s.bias_radius[a] + 1) + offset + s.bias_radius[a];
    }
    if (!s.bias_radius.empty()) score += bias_number(h, element);
    return score;
  };
  m.derivative = [s](std::int64_t, std::int64_t, std::int64_t, std::int64_t, double score) {
    if (s.softcap == 0) return 1.0;
    const double t = std::tanh(score / s.softcap);
    return 1 - t * t;
  };
  return m;
}

// In units of what softmax multiplies: the cap, else 1 / sqrt(d).
void fill_score_input(value::TensorData& data, const ir::Tensor& t, const Problem& p) {
  const double unit = p.score.softcap > 0 ? p.score.softcap : 1 / std::sqrt(static_cast<double>(p.head_dim_qk));
  const std::int64_t group = p.q_heads / t.slabs;  // heads that are rows of one slab
  for (std::int64_t slab = 0; slab < t.slabs; ++slab) {
    for (std::int64_t row = 0; row < t.rows; ++row) {
      if (t.name == "alibi_slopes") data.at(slab, row, 0) = alibi_slope(slab * group + row % group) / unit;
      if (t.name != "bias_table") continue;
      for (std::int64_t e = 0; e < t.cols; ++e) data.at(slab, row, e) = bias_number(slab, e) / unit;
    }
  }
}

namespace {

double pseudo_random(std::uint64_t index) {
  std::uint64_t z = (index + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0;
}

reference::AttentionInputs reference_inputs(const Problem& p) {
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
  in.modify = modifier(p);
  std::uint64_t counter = 0;
  const auto fill = [&](std::int64_t n) {
    std::vector<double> values(static_cast<std::size_t>(n));
    for (double& x : values) x = 2 * pseudo_random(counter++);
    return values;
  };
  in.q = fill(p.batch * p.q_heads * in.max_q_len * p.head_dim_qk);
  in.k = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_qk);
  in.v = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_v);
  return in;
}

// One bit per pair, a block of [rows x columns] per slab and KV tile.
void fill_pairs(value::TensorData& data, const ir::Tensor& t, const Problem& p, const Variant& v) {
  const reference::Keep keep = definition(v, p);
  const std::int64_t longest = *std::max_element(p.q_len.begin(), p.q_len.end());
  const std::int64_t group = t.rows / longest;
  const std::int64_t heads = p.q_heads / group;
  const std::int64_t tiles = t.slabs / (p.batch * heads);
  for (std::int64_t slab = 0; slab < p.batch * heads; ++slab) {
    for (std::int64_t row = 0; row < p.q_len_of(slab / heads) * group; ++row) {
      for (std::int64_t k = 0; k < p.kv_len_of(slab / heads); ++k) {
        const std::int64_t head = slab % heads * group + row % group;
        if (keep(slab / heads, head, row / group, k)) data.at(slab * tiles + k / t.cols, row, k % t.cols) = 1;
      }
    }
  }
}

// Per-token numbers of the masks' tests, as their tensors lay them out: rows of Q, or a row of columns per KV tile.
void fill_table(value::TensorData& data, const ir::Tensor& t, const Problem& p, const Variant& v) {
  if (t.name.rfind("pairs", 0) == 0) {
    data = value::TensorData(t.slabs, t.rows, t.cols);
    return fill_pairs(data, t, p, v);
  }
  const bool of_queries = t.name.rfind("query_values", 0) == 0;
  if (!of_queries && t.name.rfind("key_values", 0) != 0) return;
  const auto table = static_cast<std::size_t>(std::stoi(t.name.substr(of_queries ? 12 : 10)));
  const std::int64_t entries = p.q_len.size() == 1 && p.kv_len.size() == 1 ? 1 : p.batch;
  for (std::int64_t b = 0; b < entries; ++b) {
    const MaskTest tables = v.masks(p, b).front().mask->test();
    const TokenValues& values = (of_queries ? tables.query_values : tables.key_values).at(table);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      if (of_queries) {
        const std::int64_t longest = *std::max_element(p.q_len.begin(), p.q_len.end());
        const std::int64_t group = t.rows / longest;
        for (std::int64_t g = 0; g < group; ++g) data.at(b, at * group + g, 0) = static_cast<double>(values[i]);
      } else {
        data.at(b * (t.slabs / entries) + at / t.cols, 0, at % t.cols) = static_cast<double>(values[i]);
      }
    }
  }
}

std::vector<value::TensorData> pipeline_inputs(const ir::Pipeline& pipeline, const Problem& p, const Variant& v,
                                               const reference::AttentionInputs& in) {
  std::vector<value::TensorData> inputs;
  for (const ir::Tensor& t : pipeline.tensors()) {
    if (t.role != ir::TensorRole::input) continue;
    value::TensorData data(t.slabs, t.rows, t.cols, 0.5);
    if (t.name == "k") data.values = in.k;
    if (t.name == "v") data.values = in.v;
    fill_table(data, t, p, v);
    if (t.name == "alibi_slopes" || t.name == "bias_table") fill_score_input(data, t, p);
    if (t.name == "q") {
      for (std::int64_t b = 0; b < p.batch; ++b) {
        for (std::int64_t h = 0; h < p.q_heads; ++h) {
          for (std::int64_t q = 0; q < in.max_q_len; ++q) {
            const Place at = place(p, t.slabs, b, h, q);
            const std::int64_t from = ((b * p.q_heads + h) * in.max_q_len + q) * p.head_dim_qk;
            for (std::int64_t d = 0; d < p.head_dim_qk; ++d) data.at(at.slab, at.row, d) = in.q[static_cast<std::size_t>(from + d)];
          }
        }
      }
    }
    inputs.push_back(std::move(data));
  }
  return inputs;
}

}  // namespace

reference::Keep definition(const Variant& v, const Problem& p) {
  std::vector<std::vector<HeadMask>> masks;
  for (std::int64_t b = 0; b < p.batch; ++b) masks.push_back(v.masks(p, b));
  return [masks](std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k) {
    for (const HeadMask& m : masks[static_cast<std::size_t>(b)]) {
      if (h >= m.first_head && h < m.first_head + m.heads) return m.mask->keeps(q, k);
    }
    return false;
  };
}

// Largest deviation of O, relative to its row's largest element, and of LSE.
double largest_error(const Case& c, std::uint64_t seed) {
  const Problem& p = c.problem;
  const Variant& v = c.own != nullptr ? *c.own : variant(c.variant);
  return largest_error(lower(v, p, load_schedule(c.schedule), c.chip), v, p, c.keep ? c.keep : definition(v, p), seed);
}

double largest_error(const ir::Pipeline& pipeline, const Variant& v, const Problem& p, const reference::Keep& keep, std::uint64_t seed) {
  reference::AttentionInputs in = reference_inputs(p);
  if (v.k_is_q) in.k = in.q;
  if (v.v_in_k) {
    for (std::size_t i = 0; i < in.v.size(); ++i) {
      const auto width = static_cast<std::size_t>(p.head_dim_v);
      in.v[i] = in.k[i / width * static_cast<std::size_t>(p.head_dim_qk) + i % width];
    }
  }
  const auto wanted = reference::attention(in, keep);
  value::ValueRun run(pipeline, pipeline_inputs(pipeline, p, v, in));
  run.run_random({.seed = seed});
  const ir::TensorId o = id_of(pipeline, "o");
  const auto& all = pipeline.tensors();
  const bool has_lse = std::any_of(all.begin(), all.end(), [](const ir::Tensor& t) { return t.name == "lse"; });
  const ir::TensorId lse = has_lse ? id_of(pipeline, "lse") : ir::kNone;
  double worst = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    for (std::int64_t h = 0; h < p.q_heads; ++h) {
      for (std::int64_t q = 0; q < p.q_len_of(b); ++q) {
        const Place at = place(p, pipeline.tensors()[static_cast<std::size_t>(o)].slabs, b, h, q);
        const auto row = static_cast<std::size_t>((b * p.q_heads + h) * in.max_q_len + q);
        double largest = 0;
        double error = 0;
        for (std::int64_t d = 0; d < p.head_dim_v; ++d) {
          const double expected = wanted.o[row * static_cast<std::size_t>(p.head_dim_v) + static_cast<std::size_t>(d)];
          const double difference = std::abs(run.tensor(o).at(at.slab, at.row, d) - expected);
          if (!(difference <= error)) error = difference;
          largest = std::max(largest, std::abs(expected));
        }
        if (largest > 0) error /= largest;
        if (!(error <= worst)) worst = error;
        if (!has_lse) continue;  // written out, softmax leaves weights alone
        const double natural = wanted.lse_log2[row] * std::log(2.0);
        const double got = run.tensor(lse).at(at.slab, at.row, 0);
        const double lse_error = std::isinf(natural) ? (got == natural ? 0 : INFINITY) : std::abs(got - natural);
        if (!(lse_error <= worst)) worst = lse_error;
      }
    }
  }
  return worst;
}

void check(const Case& c) {
  for (const std::uint64_t seed : {1U, 2U}) {
    INFO(c.schedule << " on " << c.chip.name << ", " << c.variant << ", q " << c.problem.q_len[0] << " kv " << c.problem.kv_len[0] << " d "
                    << c.problem.head_dim_qk << " heads " << c.problem.q_heads << "/" << c.problem.kv_heads << " seed " << seed);
    double error = INFINITY;
    REQUIRE_NOTHROW(error = largest_error(c, seed));
    CHECK(error < 1e-9);
  }
}

}  // namespace attnsim::test
