// SPDX-License-Identifier: Apache-2.0
// Token counters of one kernel run. CTA tokens count per CTA; kernel tokens per item group, that is per (family, slab,
// row_begin): the splits of one query tile share a counter. The k of an await counts per agent, and per group for kernel tokens.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "sim/value/instance.h"

namespace attnsim::value {

class TokenCounts {
 public:
  TokenCounts(const ir::Kernel& kernel, const ir::ItemSequence& items);
  [[nodiscard]] bool passes(std::int64_t cta, const Instance& await) const;
  void pass(std::int64_t cta, const Instance& await);
  void signal(std::int64_t cta, const Instance& by, ir::TokenId token);
  // This CTA's signal was the last that the items of the group give to the token.
  [[nodiscard]] bool last_arriver(std::int64_t cta, const Instance& instance) const;
  [[nodiscard]] std::int64_t count(std::int64_t cta, const Instance& at, ir::TokenId token) const;

 private:
  using Group = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
  struct Key {
    std::int64_t cta = -1;  // -1: kernel scope
    ir::TokenId token = 0;
    Group group;
    auto operator<=>(const Key&) const = default;
  };
  struct AwaitKey {
    std::int64_t cta = 0;
    int agent = 0;
    Key key;
    auto operator<=>(const AwaitKey&) const = default;
  };
  [[nodiscard]] Group group_of(const ir::Item& item) const;
  [[nodiscard]] Key key(std::int64_t cta, const Instance& at, ir::TokenId token) const;
  [[nodiscard]] const ir::Token& token(ir::TokenId id) const { return kernel_->program.tokens[static_cast<std::size_t>(id)]; }

  const ir::Kernel* kernel_;
  std::map<Group, std::int64_t> group_items_;
  std::vector<std::int64_t> signals_per_item_;  // by token, outside loops
  std::map<Key, std::int64_t> counts_;
  std::map<AwaitKey, std::int64_t> awaits_;
  std::map<Key, std::int64_t> last_;  // CTA that completed a group's count
};

}  // namespace attnsim::value
