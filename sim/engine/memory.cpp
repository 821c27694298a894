// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/memory.h"

#include <algorithm>
#include <limits>

namespace attnsim {

void MemorySystem::submit(double now, int sm, std::int64_t bytes, bool from_hbm, std::int64_t tag) {
  move_to(now);
  auto& port = ports_[static_cast<std::size_t>(sm)];
  port.push({static_cast<double>(bytes), from_hbm, tag});
  if (port.size() == 1) {
    start_head(sm);
    set_rates();
  }
}

void MemorySystem::write_back(double now, double bytes) {
  move_to(now);
  write_back_bytes_ += bytes;
  set_rates();
}

double MemorySystem::next_end() {
  if (next_end_ >= 0) return next_end_;
  next_end_ = std::numeric_limits<double>::infinity();
  for (const Class* c : {&hit_, &miss_}) {
    if (!c->active.empty()) next_end_ = std::min(next_end_, now_ + std::max(0.0, c->active.top().finish - c->served) / c->rate);
  }
  return next_end_;
}

MemorySystem::Class& MemorySystem::next_class() {
  const auto remaining = [&](const Class& c) {
    return c.active.empty() ? std::numeric_limits<double>::infinity() : std::max(0.0, c.active.top().finish - c.served) / c.rate;
  };
  return remaining(hit_) <= remaining(miss_) ? hit_ : miss_;
}

int MemorySystem::next_sm() {
  return next_class().active.top().sm;
}

PortState MemorySystem::port_state(int sm) const {
  const auto& port = ports_[static_cast<std::size_t>(sm)];
  if (port.size() == 0) return PortState::idle;
  return port.front().from_hbm ? PortState::miss : PortState::hit;
}

MemoryTotals MemorySystem::totals(double now) const {
  const double elapsed = std::max(0.0, now - now_);
  const double hits = static_cast<double>(hit_.active.size()) * hit_.rate;
  const double misses = static_cast<double>(miss_.active.size()) * miss_.rate;
  const double written_back = std::min(write_back_bytes_, write_back_rate_ * elapsed);
  return {hit_.served + hit_.rate * elapsed, miss_.served + miss_.rate * elapsed, l2_unused_ + (rates_.l2 - hits - misses) * elapsed,
          hbm_unused_ + (rates_.hbm - misses) * elapsed - written_back};
}

std::int64_t MemorySystem::pop(double& end) {
  end = next_end();
  Class& c = next_class();
  const Active done = c.active.top();
  move_to(end);
  c.active.pop();
  auto& port = ports_[static_cast<std::size_t>(done.sm)];
  const std::int64_t tag = port.front().tag;
  port.pop();
  if (port.size() > 0) start_head(done.sm);
  set_rates();
  return tag;
}

void MemorySystem::move_to(double now) {
  const double elapsed = now - now_;
  if (elapsed <= 0) return;
  if (keeps_totals_) {
    const MemoryTotals at = totals(now);
    l2_unused_ = at.l2_unused;
    hbm_unused_ = at.hbm_unused;
  }
  hit_.served += hit_.rate * elapsed;
  miss_.served += miss_.rate * elapsed;
  now_ = now;
  if (write_back_bytes_ > 0) {
    write_back_bytes_ = std::max(0.0, write_back_bytes_ - write_back_rate_ * elapsed);
    if (write_back_bytes_ == 0) set_rates();
  }
}

void MemorySystem::start_head(int sm) {
  const Transfer& head = ports_[static_cast<std::size_t>(sm)].front();
  Class& c = head.from_hbm ? miss_ : hit_;
  c.active.push({c.served + head.bytes, sequence_++, sm});
}

void MemorySystem::set_rates() {
  next_end_ = -1;
  const auto hits = static_cast<double>(hit_.active.size());
  const auto misses = static_cast<double>(miss_.active.size());
  write_back_rate_ = write_back_bytes_ > 0 ? (misses > 0 ? rates_.hbm / 2 : rates_.hbm) : 0;
  const double hbm_share = misses > 0 ? std::min(rates_.port, (rates_.hbm - write_back_rate_) / misses) : 0;
  miss_.rate = hbm_share;
  hit_.rate = rates_.port;
  if (misses * hbm_share + hits * rates_.port <= rates_.l2) return;
  const double even = rates_.l2 / (hits + misses);
  if (even <= hbm_share) {
    miss_.rate = even;
    hit_.rate = even;
  } else {
    hit_.rate = std::min(rates_.port, (rates_.l2 - misses * hbm_share) / std::max(1.0, hits));
  }
}

}  // namespace attnsim
