// SPDX-License-Identifier: Apache-2.0
// Nodes after one another: kernels of a stream add up, with launch gaps; streams and programmatic launches may overlap.
#pragma once

#include <vector>

#include "sim/bounds/rungs.h"

namespace attnsim::bounds {

// `node_us`: lower bound of each node alone, without launch. Launches: a kernel with no kernel in its stream and no kernel or
// transfer before it takes launch.kernel_us if the harness counts it, each further one launch.dependent_kernel_us (stream_kernel_us
// with plain launches) after its predecessors' end; a kernel with programmatic launch may start as soon as its predecessor did. All HBM
// bytes of the pipeline cross after the first launch, and where kernels may overlap so does the work of each resource.
[[nodiscard]] RungTime timeline_bound(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions,
                                      const std::vector<RungTime>& node_us, const RungWork& whole);

}  // namespace attnsim::bounds
