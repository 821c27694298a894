// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/mask.h"

#include "sim/core/error.h"

namespace attnsim {

BoxedMask Mask::boxed(const std::vector<std::int64_t>&, const std::vector<std::int64_t>&) const {
  throw Invariant("a plain sequence has no boxes");
}

}  // namespace attnsim
