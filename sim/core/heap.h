// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnsim {

// What is freed stays with the process, for programs that make many predictions: each takes and frees some megabytes of row tiles, which
// the system would have to map and clear anew.
void keep_freed_memory();

}  // namespace attnsim
