// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/mask.h"

#include "sim/core/error.h"

namespace attnsim {

MaskTest Mask::test_in_tiles(std::int64_t, std::int64_t) const {
  return test();
}

BoxedMask Mask::boxed(const std::vector<std::int64_t>&, const std::vector<std::int64_t>&, KvTiling) const {
  throw Invariant("a plain sequence has no boxes");
}

}  // namespace attnsim
