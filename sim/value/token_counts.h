// SPDX-License-Identifier: Apache-2.0
// Token counters of one kernel run, by the rules of program.h: phases for CTA tokens, plain counts per item group for
// kernel tokens and per visited tile for turns.
#pragma once

#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "sim/value/instance.h"

namespace attnsim::value {

class TokenCounts {
 public:
  explicit TokenCounts(const ir::Kernel& kernel);
  [[nodiscard]] bool passes(std::int64_t cta, const Instance& await) const;
  void pass(std::int64_t cta, const Instance& await);
  // A signal's place among those of its agent; taken when the op issues, handed in when it completes.
  [[nodiscard]] std::int64_t take_ticket(std::int64_t cta, const Instance& by, ir::TokenId token);
  void signal(std::int64_t cta, const Instance& by, ir::TokenId token, std::int64_t ticket);
  // This CTA's signal completed the count of the instance's item group.
  [[nodiscard]] bool last_arriver(std::int64_t cta, const Instance& instance) const;
  // Complete phases of a CTA token, count of a kernel token or turn.
  [[nodiscard]] std::int64_t progress(std::int64_t cta, const Instance& at, ir::TokenId token) const;

 private:
  struct Signaller {
    std::int64_t issued = 0;
    std::int64_t in_order = 0;     // signals that arrived with all before them
    std::set<std::int64_t> early;  // arrived before an older one
  };
  using Group = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // family, slab, row_begin or visited tile
  struct Key {
    std::int64_t cta = -1;  // -1: kernel scope
    ir::TokenId token = 0;
    Group group;
    auto operator<=>(const Key&) const = default;
  };
  [[nodiscard]] Key key(std::int64_t cta, const Instance& at, ir::TokenId token) const;
  [[nodiscard]] const ir::Token& token(ir::TokenId id) const { return kernel_->program.tokens[static_cast<std::size_t>(id)]; }

  [[nodiscard]] bool counts_plainly(ir::TokenId id) const { return token(id).scope != ir::TokenScope::cta; }

  const ir::Kernel* kernel_;
  std::vector<int> signallers_;                                          // by token
  std::map<Key, std::map<int, Signaller>> phases_;                       // by agent
  std::map<Key, std::int64_t> counts_;                                   // kernel tokens
  std::map<std::tuple<std::int64_t, int, Key>, std::int64_t> awaits_;    // by CTA and agent
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> turns_;  // items ahead, by position in the grid and visited tile
  std::map<Key, std::int64_t> last_;                                     // CTA that completed a group's count
};

}  // namespace attnsim::value
