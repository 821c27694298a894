// SPDX-License-Identifier: Apache-2.0
// An attention problem in one line: lengths of the batch one by one, or one for all.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "workloads/variant.h"

namespace attnsim::test {

inline Problem problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::vector<std::int64_t> q_len,
                       std::vector<std::int64_t> kv_len, std::int64_t d, Params params = {}) {
  Problem p;
  p.batch = batch;
  p.q_heads = q_heads;
  p.kv_heads = kv_heads;
  p.q_len = std::move(q_len);
  p.kv_len = std::move(kv_len);
  p.head_dim_qk = p.head_dim_v = d;
  p.params = std::move(params);
  return p;
}

inline Problem problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::int64_t q_len, std::int64_t kv_len,
                       std::int64_t d, Params params = {}) {
  return problem(batch, q_heads, kv_heads, std::vector{q_len}, std::vector{kv_len}, d, std::move(params));
}

inline Params window(std::int64_t left, std::int64_t right) {
  return {{"left", left}, {"right", right}};
}

}  // namespace attnsim::test
