// SPDX-License-Identifier: Apache-2.0
// Books the ticks of every server under busy or a reason while the machine plays (attribution.h has the rule). The state of an SM is
// constant between two of its events, so `close` is called before each of them. Reads the machine's state, changes nothing of it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/engine/attribution.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine.h"
#include "sim/engine/machine_state.h"
#include "sim/engine/memory.h"

namespace attnsim::machine {

class Tally {
 public:
  Tally(const KernelPlan& plan, const ir::Program& program, const MachineConfig& config);

  // Books [last close, now) of the SM. `more`: CTAs are still to come.
  void close(int sm, const SmState& state, const MemorySystem& memory, std::int64_t now, bool more);
  void block(int sm, std::int32_t cta, std::int32_t agent, const AgentState& state, const PlannedStep* step, Wait reason);
  void unblock(int sm, std::int32_t cta, std::int32_t agent);
  void loads(int sm, int change) { sms_[static_cast<std::size_t>(sm)].loads += change; }
  // After the last `close`. Bytes that the run moved.
  [[nodiscard]] Attribution finish(double l2_bytes, double hbm_bytes, double written_back_bytes);

 private:
  enum class Kind : std::uint8_t { dependency, copy, token, issue, tensor, vector, start };
  struct Waiting {
    std::int32_t cta = 0;
    std::int32_t agent = 0;
    Kind kind = Kind::start;
    Server next = Server::vector;
    int token = 0;  // row of the token's reasons
  };
  struct Sm {
    std::int64_t last = 0;
    int loads = 0;  // issued and not arrived
    std::array<double, kFlows> arrived{};
    double l2_unused = 0;
    double hbm_unused = 0;
    std::vector<Waiting> waiting;
  };
  using BusyFlags = std::array<bool, kSmServers>;

  [[nodiscard]] std::size_t reason_of(const Waiting& w, const BusyFlags& busy, const Sm& sm, PortState port) const;
  [[nodiscard]] std::size_t idle_reason(Server server, const Sm& sm, const SmState& state, const BusyFlags& busy, PortState port,
                                        bool more) const;
  void book_copy(Sm& sm, const SmState& state, const BusyFlags& busy, const MemorySystem& memory, int index, std::int64_t now, bool more);
  void idle(Server server, std::size_t reason, double ticks) { out_.idle_ticks[static_cast<std::size_t>(server)][reason] += ticks; }

  const MachineConfig& config_;
  Attribution out_;
  std::vector<std::vector<std::vector<Server>>> next_;  // [agent][section][op]: the next work from there on
  std::vector<std::array<bool, kServerCount>> uses_;    // [agent]
  std::vector<Sm> sms_;
  double l2_owed_ = 0;  // ticks that short reads between others drew before L2 was idle for so long
};

}  // namespace attnsim::machine
