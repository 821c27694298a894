// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

#include "validation/host/attention.h"

namespace attnsim::host {

// Floats on a cache-line boundary, filled with NaN so that what a kernel forgets to write shows.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(std::size_t count) : count_(count) {
    const std::size_t bytes = (count * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(static_cast<float*>(std::aligned_alloc(kAlignment, bytes == 0 ? kAlignment : bytes)));
    if (!data_) throw std::bad_alloc();
    for (std::size_t i = 0; i < count; ++i) data_[i] = __builtin_nanf("");
  }
  [[nodiscard]] float* data() { return data_.get(); }
  [[nodiscard]] const float* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  static constexpr std::size_t kAlignment = 4096;
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float[], Free> data_;
  std::size_t count_ = 0;
};

struct Workspace::Part {
  AlignedFloats q{static_cast<std::size_t>(kTileQ) * kMaxHeadDim};
  AlignedFloats k{static_cast<std::size_t>(kTileKv) * kMaxHeadDim};
  AlignedFloats v{static_cast<std::size_t>(kTileKv) * kMaxHeadDim};
  AlignedFloats s{static_cast<std::size_t>(kTileQ) * kTileKv};
  AlignedFloats o{static_cast<std::size_t>(kTileQ) * kMaxHeadDim};
  AlignedFloats m{kTileQ};
  AlignedFloats l{kTileQ};
  AlignedFloats alpha{kTileQ};
};

// Partial results of split decode, by (row tile, split): O [kDecodeTileQ x head_dim], m and l.
struct Workspace::Splits {
  AlignedFloats o;
  AlignedFloats m;
  AlignedFloats l;
  std::vector<std::atomic<int>> arrived;  // splits of a row tile that are done
};

}  // namespace attnsim::host
