// SPDX-License-Identifier: Apache-2.0
// The problem of a row of attnsim-bench as a request for a prediction: the row's own schedule, and its mask as a variant.
#pragma once

#include <filesystem>

#include "sim/predict/predict.h"
#include "validation/bench/row.h"

namespace attnsim {

// Keeps the file of the blocks that a block-sparse row kept, which its request names; the file goes with it.
class OwnRequest {
 public:
  // Throws ConfigError: unknown schedule or harness, parameters that make no mask.
  OwnRequest(const bench::Row& row, const Chip& chip);
  ~OwnRequest();
  OwnRequest(const OwnRequest&) = delete;
  OwnRequest& operator=(const OwnRequest&) = delete;

  Request request;

 private:
  std::filesystem::path pattern_;
};

// Run lists (workloads/masks/pattern_file.h) of the tiles that the row's kernel kept, in square blocks of `block` tokens, where tiles are
// `tile_q` x `tile_kv`, both multiples of `block`.
[[nodiscard]] std::string kept_blocks(const bench::Row& row, std::int64_t tile_q, std::int64_t tile_kv, std::int64_t block);

}  // namespace attnsim
