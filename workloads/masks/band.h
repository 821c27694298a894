// SPDX-License-Identifier: Apache-2.0
// Bands of kept keys: dense, causal, sliding windows. Everything in closed form.
#pragma once

#include "workloads/masks/mask.h"

namespace attnsim {

class BandMask : public Mask {
 public:
  BandMask(Band band, std::int64_t q_len, std::int64_t kv_len) : Mask(q_len, kv_len), band_(band) {}
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override;
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  void put_runs(Range queries, std::int64_t tile_kv, std::vector<TileRun>& list) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  [[nodiscard]] MaskTest test() const override;
  [[nodiscard]] std::optional<Band> band() const override { return band_; }

  // First key kept by query q, and the first one behind those kept; before clipping to the keys that exist.
  [[nodiscard]] std::int64_t left_end(std::int64_t q) const { return q + band_.shift + band_.lower; }
  [[nodiscard]] std::int64_t right_end(std::int64_t q) const { return q + band_.shift + band_.upper + 1; }

 private:
  Band band_;
};

}  // namespace attnsim
