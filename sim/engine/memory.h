// SPDX-License-Identifier: Apache-2.0
// Bandwidth of L2 and HBM as fluid flows. Each SM's port serves its transfers in order, one at a time; the transfers at the
// head of all ports share L2 and HBM max-min fairly, none faster than its port. What the caller lets overtake them is counted by pass().
// Write-backs of evicted blocks take up to half of HBM while reads are active. Latency is added by the caller.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "sim/engine/sliding_queue.h"

namespace attnsim {

// Bytes per tick (1/1024 SM cycle).
struct MemoryRates {
  double port = 0;
  double l2 = 0;
  double hbm = 0;
  double receivers = 1;  // SMs that a multicast transfer reaches: each port takes what all fetch, so an SM's own part moves slower
};

// What is moving now, bytes per tick over the whole chip.
struct MemoryUse {
  double l2 = 0;
  double hbm_reads = 0;
  double write_back = 0;
};

enum class PortState : std::uint8_t { idle, hit, miss };

// Transfers move in four flows: hits and misses of L2, for one port or as parts of a multicast.
inline constexpr std::size_t kFlows = 4;

// Integrals since the start, bytes.
struct MemoryTotals {
  std::array<double, kFlows> arrived{};  // at the port of each active transfer of the flow
  double l2_unused = 0;                  // bandwidth that nobody drew
  double hbm_unused = 0;
};

class MemorySystem {
 public:
  // `multicasts`: whether any transfer is part of one.
  MemorySystem(int sms, MemoryRates rates, bool keep_totals = false, bool multicasts = true)
      : rates_(rates), ports_(static_cast<std::size_t>(sms)), keeps_totals_(keep_totals), flow_count_(multicasts ? kFlows : 2) {
    for (std::size_t i = 0; i < kFlows; ++i) {
      port_of_[i] = i >= 2 ? rates_.port / rates_.receivers : rates_.port;
      ticks_per_byte_[i] = 1 / port_of_[i];
    }
  }

  void submit(double now, int sm, std::int64_t bytes, bool from_hbm, std::int64_t tag, bool multicast = false);
  // Bytes that L2 delivers between others: of the bandwidth that was left.
  void pass(double bytes) { l2_unused_ -= bytes; }
  void write_back(double now, double bytes);
  [[nodiscard]] double owed_bytes() const { return write_back_bytes_; }
  // Tick at which the pending write-backs would be through if nothing else came.
  [[nodiscard]] double write_back_end() const { return write_back_bytes_ > 0 ? now_ + write_back_bytes_ / rates_.hbm : now_; }
  // Tick at which the next transfer ends; infinity when nothing is under way.
  [[nodiscard]] double next_end() { return next_end_ >= 0 ? next_end_ : find_next_end(); }
  // Moves time to next_end() and removes that transfer. Call only when next_end() is finite.
  std::int64_t pop(double& end);
  // Tick before which no transfer of the SM ends: its first one can't move faster than its port.
  [[nodiscard]] double earliest_end(int sm) const {
    const Port& port = ports_[static_cast<std::size_t>(sm)];
    if (port.size() == 0) return std::numeric_limits<double>::infinity();
    const std::size_t flow = port.head_flow;
    return now_ + std::max(0.0, port.head_finish - flows_[flow].served) * ticks_per_byte_[flow];
  }
  // SM whose transfer ends next.
  [[nodiscard]] int next_sm();

  [[nodiscard]] PortState port_state(int sm) const;
  [[nodiscard]] std::size_t port_flow(int sm) const;  // of its transfer; 0 when idle
  // With keep_totals. At `now`, before anything that happens then; no change of rates lies between the last call and `now`.
  [[nodiscard]] MemoryTotals totals(double now) const;
  [[nodiscard]] MemoryUse use() const {
    double all = 0;
    double misses = 0;
    for (std::size_t i = 0; i < kFlows; ++i) {
      const double moving = static_cast<double>(flows_[i].active.size()) * flows_[i].rate;
      all += moving;
      if (is_miss(i)) misses += moving;
    }
    return {all, misses, write_back_rate_};
  }

 private:
  struct Transfer {
    double bytes = 0;
    std::size_t flow = 0;
    std::int64_t tag = 0;
  };
  // Transfers of a port, first come first served: a ring inside it, and one outside where that is too small.
  class Port {
   public:
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] const Transfer& front() const { return at(head_); }
    void push(const Transfer& transfer) {
      if (count_ > mask_) grow();
      const std::size_t place = (head_ + count_++) & mask_;
      (mask_ < kInside ? inside_[place] : outside_[place]) = transfer;
    }
    void pop() {
      head_ = (head_ + 1) & mask_;
      --count_;
    }

   private:
    static constexpr std::size_t kInside = 8;
    [[nodiscard]] const Transfer& at(std::size_t place) const { return mask_ < kInside ? inside_[place] : outside_[place]; }
    void grow() {
      std::vector<Transfer> wider((mask_ + 1) * 2);
      for (std::size_t i = 0; i < count_; ++i) wider[i] = at((head_ + i) & mask_);
      outside_.swap(wider);
      mask_ = outside_.size() - 1;
      head_ = 0;
    }
    std::array<Transfer, kInside> inside_{};
    std::vector<Transfer> outside_;
    std::size_t mask_ = kInside - 1;
    std::size_t head_ = 0;
    std::size_t count_ = 0;

   public:
    double head_finish = 0;     // Active::finish of the first
    std::size_t head_flow = 0;  // and its flow
  };
  struct Active {
    double finish = 0;  // of its class's virtual service
    int sm = 0;
  };
  struct Class {
    double served = 0;  // virtual service: bytes that each active flow has received
    double rate = 0;
    SlidingQueue<Active> active;
  };

  double find_next_end();
  void move_to(double now);
  void start_head(int sm);
  void set_rates();
  void share_rates(const std::array<double, kFlows>& count);

  MemoryRates rates_;
  std::vector<Port> ports_;
  bool keeps_totals_;
  std::size_t flow_count_;  // the first ones, that can be active
  [[nodiscard]] static constexpr std::size_t flow(bool from_hbm, bool multicast) { return (from_hbm ? 1U : 0U) + (multicast ? 2U : 0U); }
  [[nodiscard]] static constexpr bool is_miss(std::size_t flow) { return flow % 2 == 1; }
  [[nodiscard]] double port_of(std::size_t flow) const { return port_of_[flow]; }
  std::array<Class, kFlows> flows_;
  std::array<double, kFlows> port_of_{};         // what the port gives a transfer of the flow
  std::array<double, kFlows> ticks_per_byte_{};  // at that rate
  double now_ = 0;
  double l2_unused_ = 0;
  double hbm_unused_ = 0;
  double write_back_bytes_ = 0;
  double write_back_rate_ = 0;
  double next_end_ = -1;        // cached; < 0: unknown
  std::size_t next_class_ = 0;  // whose transfer it is
};

}  // namespace attnsim
