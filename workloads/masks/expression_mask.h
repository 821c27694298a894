// SPDX-License-Identifier: Apache-2.0
// A mask given by its test. Rectangles of pairs are classified by interval arithmetic; what stays undecided is halved, down to
// counting pairs. Rectangles that differ only by a shift under which the undecided part of the test is the same (another diagonal tile,
// another period) are worked out once.
#pragma once

#include <memory>

#include "workloads/masks/mask.h"

namespace attnsim {

class RectangleCounter;

class ExpressionMask : public Mask {
 public:
  // Tables hold q_len and kv_len numbers.
  ExpressionMask(MaskTest test, std::int64_t q_len, std::int64_t kv_len);
  ~ExpressionMask() override;
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override;
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  [[nodiscard]] MaskTest test() const override { return test_; }

 private:
  MaskTest test_;
  std::unique_ptr<RectangleCounter> counter_;  // remembers; locked
};

}  // namespace attnsim
