// SPDX-License-Identifier: Apache-2.0
#include "sim/value/token_counts.h"

#include <algorithm>

namespace attnsim::value {

TokenCounts::TokenCounts(const ir::Kernel& kernel, const ir::ItemSequence& items)
    : kernel_(&kernel), signals_per_item_(kernel.program.tokens.size(), 0) {
  const bool kernel_scope = std::any_of(kernel.program.tokens.begin(), kernel.program.tokens.end(),
                                        [](const ir::Token& t) { return t.scope == ir::TokenScope::kernel; });
  if (!kernel_scope) return;
  for (std::int64_t i = 0; i < items.size(); ++i) ++group_items_[group_of(items.at(i))];
  for (const ir::Agent& agent : kernel.program.agents) {
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      if (kernel.program.sections[s].kind == ir::SectionKind::loop) continue;
      for (const ir::Op& op : agent.sections[s]) {
        for (const ir::TokenId t : op.completes) ++signals_per_item_[static_cast<std::size_t>(t)];
        if (op.kind == ir::OpKind::signal) ++signals_per_item_[static_cast<std::size_t>(op.token)];
      }
    }
  }
}

TokenCounts::Group TokenCounts::group_of(const ir::Item& item) const {
  return {item.family - kernel_->families.data(), item.slab, item.tile->row_begin};
}

TokenCounts::Key TokenCounts::key(std::int64_t cta, const Instance& at, ir::TokenId id) const {
  if (token(id).scope == ir::TokenScope::cta) return {cta, id, {}};
  return {-1, id, group_of(at.item)};
}

std::int64_t TokenCounts::count(std::int64_t cta, const Instance& at, ir::TokenId id) const {
  const auto found = counts_.find(key(cta, at, id));
  return token(id).initial_count + (found == counts_.end() ? 0 : found->second);
}

bool TokenCounts::passes(std::int64_t cta, const Instance& await) const {
  const ir::TokenId id = await.op->token;
  const auto found = awaits_.find({cta, await.agent, key(cta, await, id)});
  const std::int64_t k = found == awaits_.end() ? 0 : found->second;
  return count(cta, await, id) >= (k + 1 - await.op->distance) * token(id).arrivals;
}

void TokenCounts::pass(std::int64_t cta, const Instance& await) {
  ++awaits_[{cta, await.agent, key(cta, await, await.op->token)}];
}

void TokenCounts::signal(std::int64_t cta, const Instance& by, ir::TokenId id) {
  const Key k = key(cta, by, id);
  const std::int64_t now = ++counts_[k];
  if (k.cta >= 0) return;
  if (now == group_items_.at(k.group) * signals_per_item_[static_cast<std::size_t>(id)]) last_[k] = cta;
}

bool TokenCounts::last_arriver(std::int64_t cta, const Instance& instance) const {
  const auto found = last_.find(key(cta, instance, instance.op->token));
  return found != last_.end() && found->second == cta;
}

}  // namespace attnsim::value
