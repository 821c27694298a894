// SPDX-License-Identifier: Apache-2.0
// Straight-line operators: element loops in double over row-major matrices. What every schedule of them must agree with.
#pragma once

#include <cstdint>
#include <vector>

namespace attnsim::reference {

// C [m x n] = A [m x k] B [k x n].
[[nodiscard]] std::vector<double> gemm(const std::vector<double>& a, const std::vector<double>& b, std::int64_t m, std::int64_t n,
                                       std::int64_t k);
// Per row: exp(x - max) / sum of these.
[[nodiscard]] std::vector<double> softmax(const std::vector<double>& x, std::int64_t m, std::int64_t n);
// Per row: (x - mean) / sqrt(variance + 1e-5), the variance over n, not n - 1.
[[nodiscard]] std::vector<double> layernorm(const std::vector<double>& x, std::int64_t m, std::int64_t n);

}  // namespace attnsim::reference
