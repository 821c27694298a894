// SPDX-License-Identifier: Apache-2.0
// Masks of as many queries as keys, for the reference.
#pragma once

#include <cstdint>

#include "workloads/reference/attention.h"

namespace attnsim::test {

inline const reference::Keep kAll = [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) { return true; };
inline const reference::Keep kCausal = [](std::int64_t, std::int64_t, std::int64_t q, std::int64_t k) { return k <= q; };

}  // namespace attnsim::test
