// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "workloads/variant.h"

namespace attnsim {

bool Problem::is_decode() const {
  constexpr std::int64_t kMostDecodeTokens = 8;  // speculative decoding included
  return m == 0 && std::all_of(q_len.begin(), q_len.end(), [](std::int64_t tokens) { return tokens <= kMostDecodeTokens; });
}

}  // namespace attnsim
