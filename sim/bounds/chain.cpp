// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/chain.h"

#include <algorithm>

#include "sim/bounds/extents.h"

namespace attnsim::bounds {

namespace {

// A first await that only the completion of a load can satisfy.
struct FirstData {
  bool found = false;
  std::size_t section = 0;
  std::size_t position = 0;
  int skew = 0;
  double latency_cycles = 0;
};

// The least latency of the loads that complete a token; 0 when something else signals it too.
double token_latency(const ir::Program& program, ir::TokenId token, const Chip& chip) {
  double least = 0;
  for (const ir::Agent& agent : program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.kind == ir::OpKind::signal && op.token == token) return 0;
        if (std::find(op.completes.begin(), op.completes.end(), token) == op.completes.end()) continue;
        if (op.kind != ir::OpKind::load) return 0;
        const bool engine = op.copy == ir::CopyKind::tma || op.copy == ir::CopyKind::tma_multicast;
        const double latency = chip.latency.read_cycles(engine) + (engine ? chip.latency.copy_engine_cycles : 0);
        least = least > 0 ? std::min(least, latency) : latency;
      }
    }
  }
  return least;
}

FirstData first_data(const ir::Program& program, const SelectedAgent& agent, const ir::RowTile& tile, const Chip& chip) {
  for (std::size_t s = 0; s < agent.sections.size(); ++s) {
    if (acting_trips(tile, program.sections[s], ir::When::always) == 0) continue;
    for (std::size_t p = 0; p < agent.sections[s].size(); ++p) {
      const Step& step = agent.sections[s][p];
      if (step.kind != StepKind::await || step.when != ir::When::always) continue;
      const ir::Op& op = *step.ops.front();
      const ir::Token& token = program.tokens[static_cast<std::size_t>(op.token)];
      if (op.distance != 0 || token.initial_count != 0 || token.scope != ir::TokenScope::cta) continue;
      const double latency = token_latency(program, op.token, chip);
      if (latency > 0) return {true, s, p, step.skew, latency};
    }
  }
  return {};
}

// Executions of a step that program order puts behind the awaited data.
double executions_after(const FirstData& data, const ir::Section& section, std::size_t s, std::size_t position, const Step& step,
                        const ir::RowTile& tile) {
  if (s < data.section) return 0;
  const double all = acting_trips(tile, section, step.when);
  if (s > data.section) return all;
  if (section.kind == ir::SectionKind::once) return position > data.position ? all : 0;
  // The await of trip 0 stands in loop step `skew`; of later loop steps this step handles trips from skew + 1 - its own skew.
  if (step.when != ir::When::always) return 0;
  return std::max(0.0, all - std::max(0, data.skew + 1 - step.skew));
}

}  // namespace

double blocking_cycles(const Step& step, const ir::Program& program, const Chip& chip) {
  switch (step.kind) {
    case StepKind::chain: return step.occupancy_cycles + step.latency_cycles;
    case StepKind::mma: return step.async ? 0 : step.occupancy_cycles + step.latency_cycles;
    case StepKind::load: return step.async ? 0 : ir::has_loop(program) ? chip.latency.l2_cycles : chip.latency.warm_read_cycles();
    case StepKind::store:
    case StepKind::signal:
    case StepKind::await: return 0;
  }
  return 0;
}

double latency_chain(const SelectedKernel& selected, const ir::RowTile& tile, const Chip& chip) {
  const ir::Program& program = selected.kernel->program;
  double longest = 0;
  for (const SelectedAgent& agent : selected.agents) {
    const FirstData data = first_data(program, agent, tile, chip);
    double own = 0;
    double after = 0;
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      for (std::size_t p = 0; p < agent.sections[s].size(); ++p) {
        const Step& step = agent.sections[s][p];
        if (step.when == ir::When::last_arriver) continue;
        const double cycles = blocking_cycles(step, program, chip);
        if (cycles == 0) continue;
        own += cycles * acting_trips(tile, program.sections[s], step.when);
        if (data.found) after += cycles * executions_after(data, program.sections[s], s, p, step, tile);
      }
    }
    longest = std::max({longest, own, data.found ? data.latency_cycles + after : 0});
  }
  return longest;
}

}  // namespace attnsim::bounds
