// SPDX-License-Identifier: Apache-2.0
// Bandwidth of L2 and HBM as fluid flows. Each SM's port serves its transfers in order, one at a time; the transfers at the
// head of all ports share L2 and HBM max-min fairly, none faster than its port. Write-backs of evicted blocks take up to half
// of HBM while reads are active. Latency is added by the caller.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <queue>
#include <vector>

namespace attnsim {

// Bytes per tick (1/1024 SM cycle).
struct MemoryRates {
  double port = 0;
  double l2 = 0;
  double hbm = 0;
  double receivers = 1;  // SMs that a multicast transfer reaches: each port takes what all fetch, so an SM's own part moves slower
};

class MemorySystem {
 public:
  MemorySystem(int sms, MemoryRates rates) : rates_(rates), ports_(static_cast<std::size_t>(sms)) {}

  void submit(double now, int sm, std::int64_t bytes, bool from_hbm, std::int64_t tag, bool multicast = false);
  void write_back(double now, double bytes);
  // Tick at which the pending write-backs would be through if nothing else came.
  [[nodiscard]] double write_back_end() const { return write_back_bytes_ > 0 ? now_ + write_back_bytes_ / rates_.hbm : now_; }
  // Tick at which the next transfer ends; infinity when nothing is under way.
  [[nodiscard]] double next_end();
  // Moves time to next_end() and removes that transfer. Call only when next_end() is finite.
  std::int64_t pop(double& end);

 private:
  struct Transfer {
    double bytes = 0;
    std::size_t flow = 0;
    std::int64_t tag = 0;
  };
  struct Active {
    double finish = 0;  // of its class's virtual service
    std::int64_t sequence = 0;
    int sm = 0;
    bool operator>(const Active& other) const { return finish != other.finish ? finish > other.finish : sequence > other.sequence; }
  };
  struct Class {
    double served = 0;  // virtual service: bytes that each active flow has received
    double rate = 0;
    std::priority_queue<Active, std::vector<Active>, std::greater<>> active;
  };

  void move_to(double now);
  void start_head(int sm);
  void set_rates();

  MemoryRates rates_;
  std::vector<std::deque<Transfer>> ports_;
  static constexpr std::size_t kFlows = 4;
  static constexpr std::size_t flow(bool from_hbm, bool multicast) { return (from_hbm ? 1U : 0U) + (multicast ? 2U : 0U); }
  [[nodiscard]] double port_of(std::size_t flow) const { return flow >= 2 ? rates_.port / rates_.receivers : rates_.port; }
  std::array<Class, kFlows> flows_;
  double now_ = 0;
  double write_back_bytes_ = 0;
  double write_back_rate_ = 0;
  double next_end_ = -1;  // cached; < 0: unknown
  std::int64_t sequence_ = 0;
};

}  // namespace attnsim
