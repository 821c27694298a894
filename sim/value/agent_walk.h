// SPDX-License-Identifier: Apache-2.0
// An agent's way through its items, sections and trips (modulo scheduling), one op at a time.
//   while (walk.current() || walk.start(next item)) { ... walk.advance(); }
#pragma once

#include <optional>
#include <vector>

#include "sim/value/instance.h"

namespace attnsim::value {

class AgentWalk {
 public:
  AgentWalk(const ir::Kernel& kernel, const ir::ItemSequence& items, int agent);
  // The op to issue next, unless the present item is finished.
  [[nodiscard]] const std::optional<Instance>& current() const { return current_; }
  [[nodiscard]] std::int64_t items_started() const { return items_started_; }
  void start(std::int64_t item_position);
  void advance();

 private:
  void find();  // moves to the next op that acts, or to the end of the item

  const ir::Kernel* kernel_;
  const ir::ItemSequence* items_;
  int agent_;
  std::vector<int> max_skew_;             // by section
  std::vector<std::int64_t> trips_done_;  // by section, over all finished passes
  std::int64_t items_started_ = 0;
  std::int64_t item_position_ = 0;
  ir::Item item_;
  std::size_t section_ = 0;
  std::int64_t step_ = 0;
  std::size_t position_ = 0;
  std::optional<Instance> current_;
};

}  // namespace attnsim::value
