// SPDX-License-Identifier: Apache-2.0
// Copies of a pipeline with one thing changed, for tests that must notice it.
#pragma once

#include <functional>
#include <vector>

#include "sim/core/error.h"
#include "sim/ir/pipeline.h"

namespace attnsim::test {

// The pipeline with `change` applied to each kernel; checked again by build().
[[nodiscard]] inline ir::Pipeline rebuilt(const ir::Pipeline& pipeline, const std::function<void(ir::Kernel&)>& change) {
  ir::PipelineBuilder builder(pipeline.name());
  for (const ir::Tensor& t : pipeline.tensors()) builder.tensor(t);
  for (const ir::Node& node : pipeline.nodes()) {
    if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) {
      ir::Kernel copy = *kernel;
      change(copy);
      builder.add(std::move(copy), node.stream);
    } else if (const auto* transfer = std::get_if<ir::Transfer>(&node.work)) {
      builder.add(*transfer, node.stream);
    } else {
      builder.add(std::get<ir::HostGap>(node.work), node.stream);
    }
  }
  for (const ir::Edge& e : pipeline.edges()) builder.depend(e.from, e.to);
  return builder.build();
}

// Without the tokens by which agents take turns.
[[nodiscard]] inline ir::Pipeline without_turns(const ir::Pipeline& pipeline) {
  return rebuilt(pipeline, [](ir::Kernel& kernel) {
    const ir::Program& p = kernel.program;
    for (ir::Agent& agent : kernel.program.agents) {
      for (auto& section : agent.sections) {
        std::erase_if(section, [&](const ir::Op& op) {
          return op.token != ir::kNone && p.tokens[static_cast<std::size_t>(op.token)].name.rfind("turn", 0) == 0;
        });
      }
    }
  });
}

struct OpAt {
  std::size_t node, agent, section, position;
};
[[nodiscard]] inline std::vector<OpAt> ops_where(const ir::Pipeline& pipeline,
                                                 const std::function<bool(const ir::Program&, const ir::Op&)>& wanted) {
  std::vector<OpAt> found;
  std::size_t kernels = 0;
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    if (kernel == nullptr) continue;
    const ir::Program& p = kernel->program;
    for (std::size_t a = 0; a < p.agents.size(); ++a) {
      for (std::size_t s = 0; s < p.agents[a].sections.size(); ++s) {
        for (std::size_t i = 0; i < p.agents[a].sections[s].size(); ++i) {
          if (wanted(p, p.agents[a].sections[s][i])) found.push_back({kernels, a, s, i});
        }
      }
    }
    ++kernels;
  }
  return found;
}

[[nodiscard]] inline const ir::Op& op_at(const ir::Pipeline& pipeline, const OpAt& at) {
  std::size_t kernels = 0;
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    if (kernel != nullptr && kernels++ == at.node) return kernel->program.agents[at.agent].sections[at.section][at.position];
  }
  throw Invariant("no op there");
}

// `at.node` counts kernels. `change` gets the list of ops of the section and the position.
[[nodiscard]] inline ir::Pipeline with_op(const ir::Pipeline& pipeline, const OpAt& at,
                                          const std::function<void(std::vector<ir::Op>&, std::size_t)>& change) {
  std::size_t kernels = 0;
  return rebuilt(pipeline, [&](ir::Kernel& kernel) {
    if (kernels++ == at.node) change(kernel.program.agents[at.agent].sections[at.section], at.position);
  });
}

inline void erase_op(std::vector<ir::Op>& ops, std::size_t position) {
  ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(position));
}

}  // namespace attnsim::test
