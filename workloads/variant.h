// SPDX-License-Identifier: Apache-2.0
// WHAT is computed. A variant knows no chip and no schedule.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/ir/op.h"
#include "workloads/masks/mask.h"
#include "workloads/masks/score.h"
#include "workloads/pass.h"

namespace attnsim {

using ParamValue = std::variant<std::int64_t, double, bool, std::string>;
using Params = std::map<std::string, ParamValue>;

// One attention problem. Tensors: Q [batch, q_heads, q_len, head_dim_qk], K [batch, kv_heads, kv_len, head_dim_qk],
// V [batch, kv_heads, kv_len, head_dim_v], O [batch, q_heads, q_len, head_dim_v]. Ragged batches give one length per entry. The backward
// pass takes dO beside O and its log-sum-exp, and gives dQ, dK and dV in the shapes of Q, K and V.
struct Problem {
  std::int64_t batch = 1;
  std::int64_t q_heads = 1;
  std::int64_t kv_heads = 1;
  std::vector<std::int64_t> q_len;   // size 1 (all equal) or batch
  std::vector<std::int64_t> kv_len;  // size 1 (all equal) or batch
  std::int64_t head_dim_qk = 128;
  std::int64_t head_dim_v = 128;
  std::int64_t m = 0;  // operators: C [m x n] = A [m x k] B [k x n], or m rows of n columns; 0 for attention
  std::int64_t n = 0;
  std::int64_t k = 0;
  ir::DType dtype = ir::DType::bf16;
  std::optional<ir::DType> dtype_kv;  // of K and V in memory where it is another one: an 8-bit cache, converted before it is multiplied
  Params params;                      // of the variant, defaults filled in
  Score score;                        // what modifies scores before the mask
  Pass pass = Pass::forward;

  [[nodiscard]] ir::DType kv_dtype() const { return dtype_kv.value_or(dtype); }
  [[nodiscard]] std::int64_t group() const { return q_heads / kv_heads; }
  [[nodiscard]] std::int64_t q_len_of(std::int64_t b) const { return q_len.size() == 1 ? q_len[0] : q_len[static_cast<std::size_t>(b)]; }
  [[nodiscard]] std::int64_t kv_len_of(std::int64_t b) const {
    return kv_len.size() == 1 ? kv_len[0] : kv_len[static_cast<std::size_t>(b)];
  }
  [[nodiscard]] bool is_decode() const;  // every q_len <= 8
};

struct ParamSpec {
  std::string_view name;
  ParamValue default_value;
  std::string_view description;
  std::vector<std::string> choices;  // of string parameters
};

// What a shape names: batch, heads, lengths and head_dim; m, n, k; or m, n.
enum class ShapeKind { attention, gemm, rows };

struct Variant {
  std::string_view name;
  std::string_view family;  // lowering: "tile-list", "gemm", "rowwise"
  std::string_view description;
  std::string_view paper;
  std::vector<ParamSpec> params;
  // Tile-list family: the masks of a batch entry's heads, ascending, without gaps. Entries of equal lengths have equal masks.
  std::vector<HeadMask> (*masks)(const Problem&, std::int64_t entry) = nullptr;
  ShapeKind shape = ShapeKind::attention;
  Problem (*reshape)(const Problem&) = nullptr;  // the problem that the kernels work on, where it is another
  std::string_view claims = "";                  // what the ids of its published claims begin with, in validation/claims.json
  bool k_is_q = false;                           // keys are the queries: one tensor (a symmetric similarity)
  bool v_in_k = false;  // V is no tensor of its own: its columns are the first head_dim_v of K (MLA's latent cache)
};

[[nodiscard]] Problem kernel_problem(const Variant& variant, const Problem& problem);
// The band that all heads of the first batch entry have; none where they differ, or where a mask is no band.
[[nodiscard]] std::optional<Band> common_band(const Variant& variant, const Problem& problem);

// The visible table. One line per variant.
[[nodiscard]] std::span<const Variant> variants();
// Throws ConfigError with the nearest name.
[[nodiscard]] const Variant& variant(const std::string& name);

}  // namespace attnsim
