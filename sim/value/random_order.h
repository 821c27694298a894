// SPDX-License-Identifier: Apache-2.0
// Runs one kernel: CTAs interleave, agents take turns and asynchronous ops complete, all in a random order that program.h
// allows. Priorities are drawn anew every few steps, so that agents also run far ahead of or behind each other.
#pragma once

#include <span>

#include "sim/value/counter_rng.h"
#include "sim/value/value_run.h"

namespace attnsim::value {

void run_random_order(const ir::Kernel& kernel, std::span<TensorData> tensors, int persistent_ctas, CounterRng& rng);

}  // namespace attnsim::value
