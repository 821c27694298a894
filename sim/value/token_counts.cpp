// SPDX-License-Identifier: Apache-2.0
#include "sim/value/token_counts.h"

#include <algorithm>

namespace attnsim::value {

TokenCounts::TokenCounts(const ir::Kernel& kernel) : kernel_(&kernel) {
  for (std::size_t t = 0; t < kernel.program.tokens.size(); ++t)
    signallers_.push_back(kernel.program.signallers(static_cast<ir::TokenId>(t)));
  const auto is_turn = [](const ir::Token& t) { return t.scope == ir::TokenScope::turn; };
  if (std::none_of(kernel.program.tokens.begin(), kernel.program.tokens.end(), is_turn)) return;
  const ir::ItemSequence items(kernel);
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> seen;  // by slab and tile
  for (std::int64_t position = 0; position < items.size(); ++position) {
    const ir::Item item = items.at(position);
    for (std::int64_t trip = 0; trip < item.tile->trips(); ++trip) {
      const std::int64_t tile = visit(*item.tile, trip).tile;
      turns_[{position, tile}] = seen[{item.slab, tile}]++;
    }
  }
}

TokenCounts::Key TokenCounts::key(std::int64_t cta, const Instance& at, ir::TokenId id) const {
  if (token(id).scope == ir::TokenScope::cta) return {cta, id, {}};
  if (token(id).scope == ir::TokenScope::turn) return {-1, id, Group{-1, at.item.slab, at.visited}};
  return {-1, id, Group{at.item.family - kernel_->families.data(), at.item.slab, at.item.tile->row_begin}};
}

std::int64_t TokenCounts::progress(std::int64_t cta, const Instance& at, ir::TokenId id) const {
  const Key k = key(cta, at, id);
  const ir::Token& t = token(id);
  if (counts_plainly(id)) {
    const auto found = counts_.find(k);
    return t.initial_count + (found == counts_.end() ? 0 : found->second);
  }
  const std::int64_t initial = t.initial_count / t.arrivals;
  const auto found = phases_.find(k);
  const int signallers = signallers_[static_cast<std::size_t>(id)];
  if (found == phases_.end() || static_cast<int>(found->second.size()) < signallers) return initial;
  const std::int64_t share = t.arrivals / signallers;
  std::int64_t complete = found->second.begin()->second.in_order / share;
  for (const auto& [agent, s] : found->second) complete = std::min(complete, s.in_order / share);
  return initial + complete;
}

bool TokenCounts::passes(std::int64_t cta, const Instance& await) const {
  const ir::TokenId id = await.op->token;
  if (token(id).scope == ir::TokenScope::turn) return progress(cta, await, id) == turns_.at({await.item_position, await.visited});
  const auto found = awaits_.find({cta, await.agent, key(cta, await, id)});
  const std::int64_t needed = (found == awaits_.end() ? 0 : found->second) + 1 - await.op->distance;
  return progress(cta, await, id) >= needed * (token(id).scope == ir::TokenScope::kernel ? token(id).arrivals : 1);
}

void TokenCounts::pass(std::int64_t cta, const Instance& await) {
  ++awaits_[{cta, await.agent, key(cta, await, await.op->token)}];
}

std::int64_t TokenCounts::take_ticket(std::int64_t cta, const Instance& by, ir::TokenId id) {
  if (counts_plainly(id)) return 0;
  return phases_[key(cta, by, id)][by.agent].issued++;
}

void TokenCounts::signal(std::int64_t cta, const Instance& by, ir::TokenId id, std::int64_t ticket) {
  const Key k = key(cta, by, id);
  if (counts_plainly(id)) {
    if (++counts_[k] == token(id).arrivals) last_[k] = cta;
    return;
  }
  Signaller& s = phases_[k][by.agent];
  s.early.insert(ticket);
  while (!s.early.empty() && *s.early.begin() == s.in_order) {
    s.early.erase(s.early.begin());
    ++s.in_order;
  }
}

bool TokenCounts::last_arriver(std::int64_t cta, const Instance& instance) const {
  const auto found = last_.find(key(cta, instance, instance.op->token));
  return found != last_.end() && found->second == cta;
}

}  // namespace attnsim::value
