// SPDX-License-Identifier: Apache-2.0
// The problem of an operator: a matrix product of m x k by k x n, or rows of softmax and layer norm (m x n).
#pragma once

#include <cstdint>

#include "workloads/variant.h"

namespace attnsim::test {

inline Problem shape(std::int64_t m, std::int64_t n, std::int64_t k = 0) {
  Problem p;
  p.m = m;
  p.n = n;
  p.k = k;
  return p;
}

}  // namespace attnsim::test
