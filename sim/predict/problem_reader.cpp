// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/problem_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::string divisors_of(std::int64_t n) {
  std::string text;
  for (std::int64_t d = 1; d <= n && d <= 4096; ++d) {
    if (n % d != 0) continue;
    if (!text.empty()) text += ", ";
    text += std::to_string(d);
  }
  return text;
}

ir::DType dtype_named(const std::string& name) {
  for (const ir::DType t : {ir::DType::f16, ir::DType::bf16, ir::DType::f8, ir::DType::f32})
    if (ir::name_of(t) == name) return t;
  return ir::DType::bf16;
}

constexpr double kMostFlops = static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 4;

// m, n, k of an operator.
void read_operator(FieldReader& shape, ShapeKind kind, Problem& p) {
  p.m = std::max<std::int64_t>(1, shape.integer("m", {.min = 1, .max = kMaxLength}));
  p.n = std::max<std::int64_t>(1, shape.integer("n", {.min = 1, .max = kMaxLength}));
  if (kind == ShapeKind::gemm) p.k = std::max<std::int64_t>(1, shape.integer("k", {.min = 1, .max = kMaxLength}));
}

// FLOPs of the unmasked problem, in floating point so that an overflow shows.
double dense_flops(const Problem& p) {
  double pairs = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    pairs += static_cast<double>(p.q_len_of(b)) * static_cast<double>(p.kv_len_of(b));
    if (p.q_len.size() == 1 && p.kv_len.size() == 1) {
      pairs *= static_cast<double>(p.batch);
      break;
    }
  }
  return 2.0 * pairs * static_cast<double>(p.q_heads) * static_cast<double>(p.head_dim_qk + p.head_dim_v);
}

void read_lengths(FieldReader& shape, Problem& p) {
  const auto read = [&](const char* key, std::vector<std::int64_t> fallback) {
    if (!shape.has(key) && !fallback.empty()) return fallback;
    std::vector<std::int64_t> lengths = shape.integers(key, {.min = 1, .max = kMaxLength});
    if (lengths.empty()) return std::vector<std::int64_t>{1};
    if (lengths.size() != 1 && static_cast<std::int64_t>(lengths.size()) != p.batch) {
      shape.issue(key, fmt::format("lists {} lengths for batch {}", lengths.size(), p.batch),
                  p.batch == 1 ? "1 length" : fmt::format("1 or {} lengths", p.batch));
      lengths.resize(1);
    }
    return lengths;
  };
  p.q_len = read("q_len", {});
  p.kv_len = read("kv_len", p.q_len);
}

void read_params(FieldReader& workload, const Variant& variant, Params& params) {
  FieldReader reader = workload.child("params");
  for (const ParamSpec& spec : variant.params) {
    const std::string name(spec.name);
    params[name] = std::visit(
        [&](const auto& fallback) -> ParamValue {
          using Value = std::decay_t<decltype(fallback)>;
          if constexpr (std::is_same_v<Value, std::int64_t>) {
            return reader.integer(name, {.min = std::min<std::int64_t>(fallback, 0), .max = kMaxLength}, fallback);
          } else if constexpr (std::is_same_v<Value, double>) {
            return reader.number(name, {}, fallback);
          } else if constexpr (std::is_same_v<Value, bool>) {
            return reader.boolean(name, fallback);
          } else {
            return reader.text(name, spec.choices, fallback);
          }
        },
        spec.default_value);
  }
}

Score read_score(FieldReader& workload, const Variant* variant) {
  Score score;
  if (!workload.has("score")) return score;
  if (variant != nullptr && variant->family != "tile-list") {
    workload.issue("score", "is not for " + std::string(variant->name), "no score");
    (void)workload.raw("score");
    return score;
  }
  FieldReader reader = workload.child("score");
  score.softcap = reader.number("softcap", {.min = 0, .max = 1e6}, 0.0);
  score.alibi = reader.boolean("alibi", false);
  constexpr std::int64_t kLargestRadius = 65536;
  if (reader.raw("bias_radius") != nullptr) score.bias_radius = reader.integers("bias_radius", {.min = 0, .max = kLargestRadius});
  if (reader.raw("bias_layout") != nullptr) score.bias_layout = reader.integers("bias_layout", {.min = 1, .max = kMaxLength});
  const std::size_t axes = std::max<std::size_t>(1, score.bias_layout.size());
  if (!score.bias_radius.empty() && score.bias_radius.size() != axes) {
    reader.issue("bias_radius", fmt::format("gives {} numbers for {} axes", score.bias_radius.size(), axes), "one per axis of bias_layout");
    score.bias_radius.clear();
  }
  if (score.bias_radius.empty() && !score.bias_layout.empty()) {
    if (reader.ok()) reader.issue("bias_layout", "stands without bias_radius", "both, or bias_radius alone for a sequence");
    score.bias_layout.clear();
  }
  return score;
}

}  // namespace

Problem read_problem(FieldReader& workload, const Variant* variant) {
  Problem p;
  const bool has_shape = workload.has("shape");
  if (!has_shape) {
    const ShapeKind kind = variant == nullptr ? ShapeKind::attention : variant->shape;
    workload.issue("shape", "is missing",
                   kind == ShapeKind::gemm   ? "an object with m, n and k"
                   : kind == ShapeKind::rows ? "an object with m and n"
                                             : "an object with q_heads, q_len and head_dim");
    (void)workload.raw("shape");
  }
  FieldReader shape = workload.child("shape");
  if (has_shape && shape.json().is_object() && variant != nullptr && variant->shape != ShapeKind::attention) {
    read_operator(shape, variant->shape, p);
    const double flops = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(std::max<std::int64_t>(1, p.k));
    if (flops > kMostFlops)
      workload.issue("shape", fmt::format("needs {:.3g} FLOPs, more than 64-bit counters hold", flops), "at most 2.3e18 FLOPs");
  } else if (has_shape && shape.json().is_object()) {
    p.batch = std::max<std::int64_t>(1, shape.integer("batch", {.min = 1, .max = kMaxCount}, 1));
    const std::int64_t q_heads = shape.integer("q_heads", {.min = 1, .max = kMaxCount});  // 0 after an issue
    p.q_heads = std::max<std::int64_t>(1, q_heads);
    p.kv_heads = std::max<std::int64_t>(1, shape.integer("kv_heads", {.min = 1, .max = kMaxCount}, p.q_heads));
    if (q_heads > 0 && p.q_heads % p.kv_heads != 0) {
      shape.issue("kv_heads", fmt::format("does not divide q_heads {}", p.q_heads), divisors_of(p.q_heads));
      p.kv_heads = p.q_heads;
    }
    read_lengths(shape, p);
    if (shape.has("head_dim_qk") || shape.has("head_dim_v")) {
      p.head_dim_qk = shape.integer("head_dim_qk", {.min = 1, .max = kMaxHeadDim});
      p.head_dim_v = shape.integer("head_dim_v", {.min = 1, .max = kMaxHeadDim}, p.head_dim_qk);
      if (shape.has("head_dim")) shape.issue("head_dim", "stands beside head_dim_qk or head_dim_v", "one of the two forms");
      (void)shape.raw("head_dim");
    } else {
      p.head_dim_qk = p.head_dim_v = shape.integer("head_dim", {.min = 1, .max = kMaxHeadDim});
    }
    if (dense_flops(p) > kMostFlops)
      workload.issue("shape", fmt::format("needs {:.3g} FLOPs unmasked, more than 64-bit counters hold", dense_flops(p)),
                     "at most 2.3e18 FLOPs");
  }
  const std::string pass = workload.text("pass", {"forward", "backward"}, "forward");
  if (pass == "backward") {
    p.pass = Pass::backward;
    if (variant != nullptr && variant->shape != ShapeKind::attention)
      workload.issue("pass", "is not for " + std::string(variant->name), "forward");
  }
  p.dtype = dtype_named(workload.text("dtype", {"bf16", "f16", "f8", "f32"}, "bf16"));
  if (workload.has("dtype_kv") && p.m > 0) workload.issue("dtype_kv", "is for attention, which has K and V", "no dtype_kv");
  if (workload.has("dtype_kv")) p.dtype_kv = dtype_named(workload.text("dtype_kv", {"bf16", "f16", "f8"}));
  if (p.dtype_kv && ir::bits_of(*p.dtype_kv) > ir::bits_of(p.dtype))
    workload.issue("dtype_kv", "is wider than dtype", "an element type of at most dtype's width");
  p.score = read_score(workload, variant);
  if (variant == nullptr)
    (void)workload.raw("params");
  else
    read_params(workload, *variant, p.params);
  return p;
}

}  // namespace attnsim
