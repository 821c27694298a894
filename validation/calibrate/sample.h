// SPDX-License-Identifier: Apache-2.0
// A seeded stratified sample of rows. Strata: file, kernel, phase and decade of measured time. Each stratum gets its share of `most`
// (largest remainders, at least one row while there is room); inside it rows are drawn in the order of a hash of seed, shape and id.
// The same rows give the same sample, whatever their order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "validation/row.h"

namespace attnsim {

// Indices into `rows`, ascending. All of them where `most` is 0 or not below their number.
[[nodiscard]] std::vector<std::size_t> stratified_sample(std::span<const MeasuredRow> rows, std::size_t most, std::uint64_t seed);

}  // namespace attnsim
