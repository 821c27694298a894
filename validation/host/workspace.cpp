// SPDX-License-Identifier: Apache-2.0
#include "validation/host/workspace.h"

namespace attnsim::host {

Counts sum(const std::vector<Counts>& threads) {
  Counts all;
  for (const Counts& one : threads) {
    for (double Counts::*what : {&Counts::kv_tiles, &Counts::tensor_flops, &Counts::exp_count, &Counts::l2_bytes}) all.*what += one.*what;
  }
  return all;
}

Workspace::Workspace(int threads, const bench::Shape& shape)
    : splits_(std::make_unique<Splits>()), no_tallies_(static_cast<std::size_t>(threads)) {
  for (int i = 0; i < threads; ++i) parts_.push_back(std::make_unique<Part>());
  const std::int64_t splits = decode_splits(shape, threads);
  if (shape.q_len != 1 || splits == 1) return;
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const auto tiles = static_cast<std::size_t>(shape.batch * shape.kv_heads * ((group + kDecodeTileQ - 1) / kDecodeTileQ));
  const std::size_t rows = tiles * static_cast<std::size_t>(splits) * kDecodeTileQ;
  splits_->o = AlignedFloats(rows * static_cast<std::size_t>(shape.head_dim));
  splits_->m = AlignedFloats(rows);
  splits_->l = AlignedFloats(rows);
  splits_->arrived = std::vector<std::atomic<int>>(tiles);
}

Workspace::~Workspace() = default;

}  // namespace attnsim::host
