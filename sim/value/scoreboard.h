// SPDX-License-Identifier: Apache-2.0
// Pending asynchronous ops of one agent, and what must not issue beside them.
#pragma once

#include <vector>

#include "sim/value/instance.h"

namespace attnsim::value {

class Scoreboard {
 public:
  explicit Scoreboard(const ir::Program& program) : program_(&program) {}
  [[nodiscard]] const std::vector<Instance>& pending() const { return pending_; }
  void add(const Instance& instance) { pending_.push_back(instance); }
  [[nodiscard]] Instance remove(std::size_t index);
  // Register tiles that the op reads must not be written by a pending op, those that it writes neither read nor written.
  // A signal waits for every pending op that touches its tiles, in any space.
  [[nodiscard]] bool blocks(const Instance& next) const;
  // tcgen05 MMAs execute in issue order; everything else completes in any order.
  [[nodiscard]] bool may_complete(std::size_t index) const;

 private:
  [[nodiscard]] bool same_storage(ir::TileId a, const Instance& at_a, ir::TileId b, const Instance& at_b) const;
  const ir::Program* program_;
  std::vector<Instance> pending_;
};

}  // namespace attnsim::value
