// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/memory.h"

#include <algorithm>
#include <limits>

namespace attnsim {

namespace {

// Max-min fair: every flow of a class gets min(limit of the class, one common level) of the capacity.
template <std::size_t N>
void share(double capacity, const std::array<double, N>& flows, std::array<double, N>& limits) {
  double demand = 0;
  std::size_t kinds = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < N; ++i) {
    demand += flows[i] * limits[i];
    kinds += flows[i] == 0 ? 0 : 1;
    last = flows[i] == 0 ? last : i;
  }
  if (demand <= capacity) return;
  if (kinds == 1) {
    limits[last] = std::min(limits[last], std::max(0.0, capacity) / flows[last]);
    return;
  }
  // Classes below the common level keep their limit; the level rises as each of them leaves.
  std::array<bool, N> satisfied{};
  double left = capacity;
  double level = 0;
  for (bool changed = true; changed;) {
    changed = false;
    double count = 0;
    for (std::size_t i = 0; i < N; ++i) count += satisfied[i] ? 0 : flows[i];
    level = count > 0 ? std::max(0.0, left) / count : level;
    for (std::size_t i = 0; i < N; ++i) {
      if (satisfied[i] || flows[i] == 0 || limits[i] > level) continue;
      satisfied[i] = true;
      left -= flows[i] * limits[i];
      changed = true;
    }
  }
  for (std::size_t i = 0; i < N; ++i) limits[i] = satisfied[i] ? limits[i] : level;
}

}  // namespace

void MemorySystem::submit(double now, int sm, std::int64_t bytes, bool from_hbm, std::int64_t tag, bool multicast) {
  move_to(now);
  auto& port = ports_[static_cast<std::size_t>(sm)];
  port.push({static_cast<double>(bytes), flow(from_hbm, multicast), tag});
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

double MemorySystem::find_next_end() {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < flow_count_; ++i) {
    const Class& c = flows_[i];
    if (c.active.empty()) continue;
    const double remaining = std::max(0.0, c.active.top().finish - c.served) / c.rate;
    if (remaining >= least) continue;
    least = remaining;
    next_class_ = i;
  }
  next_end_ = now_ + least;
  return next_end_;
}

int MemorySystem::next_sm() {
  (void)next_end();
  return flows_[next_class_].active.top().sm;
}

PortState MemorySystem::port_state(int sm) const {
  const auto& port = ports_[static_cast<std::size_t>(sm)];
  if (port.size() == 0) return PortState::idle;
  return is_miss(port.front().flow) ? PortState::miss : PortState::hit;
}

std::size_t MemorySystem::port_flow(int sm) const {
  const auto& port = ports_[static_cast<std::size_t>(sm)];
  return port.size() == 0 ? 0 : port.front().flow;
}

MemoryTotals MemorySystem::totals(double now) const {
  const double elapsed = std::max(0.0, now - now_);
  const MemoryUse moving = use();
  const double written_back = std::min(write_back_bytes_, write_back_rate_ * elapsed);
  MemoryTotals totals;
  for (std::size_t i = 0; i < kFlows; ++i) totals.arrived[i] = (flows_[i].served + flows_[i].rate * elapsed) * (rates_.port / port_of(i));
  totals.l2_unused = l2_unused_ + (rates_.l2 - moving.l2) * elapsed;
  totals.hbm_unused = hbm_unused_ + (rates_.hbm - moving.hbm_reads) * elapsed - written_back;
  return totals;
}

std::int64_t MemorySystem::pop(double& end) {
  end = next_end();
  Class& c = flows_[next_class_];
  const std::size_t kind = next_class_;
  const Active done = c.active.top();
  move_to(end);
  c.active.pop();
  auto& port = ports_[static_cast<std::size_t>(done.sm)];
  const std::int64_t tag = port.front().tag;
  port.pop();
  if (port.size() > 0) start_head(done.sm);
  if (port.size() > 0 && port.front().flow == kind) {
    next_end_ = -1;  // as many of each kind as before
  } else {
    set_rates();
  }
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
  for (std::size_t i = 0; i < flow_count_; ++i) flows_[i].served += flows_[i].rate * elapsed;
  now_ = now;
  if (write_back_bytes_ > 0) {
    write_back_bytes_ = std::max(0.0, write_back_bytes_ - write_back_rate_ * elapsed);
    if (write_back_bytes_ == 0) set_rates();
  }
}

void MemorySystem::start_head(int sm) {
  Port& port = ports_[static_cast<std::size_t>(sm)];
  const Transfer& head = port.front();
  Class& c = flows_[head.flow];
  port.head_finish = c.served + head.bytes;
  port.head_flow = head.flow;
  const double finish = port.head_finish;
  Active& active = c.active.place_before([finish](const Active& other) { return finish < other.finish; });
  active.finish = finish;
  active.sm = sm;
}

void MemorySystem::set_rates() {
  next_end_ = -1;
  std::array<double, kFlows> count{};
  double demand = 0;
  for (std::size_t i = 0; i < flow_count_; ++i) {
    count[i] = static_cast<double>(flows_[i].active.size());
    demand += count[i] * port_of(i);
  }
  if (write_back_bytes_ > 0 || demand > rates_.l2 || demand > rates_.hbm) return share_rates(count);
  write_back_rate_ = 0;  // hits and misses alike have what they can take
  for (std::size_t i = 0; i < flow_count_; ++i) flows_[i].rate = port_of(i);
}

void MemorySystem::share_rates(const std::array<double, kFlows>& count) {
  std::array<double, kFlows> rate{};
  for (std::size_t i = 0; i < kFlows; ++i) rate[i] = port_of(i);
  const std::array<double, 2> misses{count[flow(true, false)], count[flow(true, true)]};
  const bool reads = misses[0] + misses[1] > 0;
  write_back_rate_ = write_back_bytes_ > 0 ? (reads ? rates_.hbm / 2 : rates_.hbm) : 0;
  std::array<double, 2> from_hbm{rate[flow(true, false)], rate[flow(true, true)]};
  share(rates_.hbm - write_back_rate_, misses, from_hbm);
  rate[flow(true, false)] = from_hbm[0];
  rate[flow(true, true)] = from_hbm[1];
  share(rates_.l2, count, rate);
  for (std::size_t i = 0; i < kFlows; ++i) flows_[i].rate = rate[i];
}

}  // namespace attnsim
