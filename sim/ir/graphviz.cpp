// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sim/ir/dataflow.h"
#include "sim/ir/op_text.h"
#include "sim/ir/pipeline.h"

namespace attnsim::ir {

namespace {

std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// One cluster per agent; ids are prefixed so that several kernels share a file.
std::string body(const Program& p, const std::vector<Tensor>& tensors, const std::string& prefix) {
  const Dataflow flow = dataflow(p);
  std::string text;
  int agent = -1;
  for (std::size_t v = 0; v < flow.ops.size(); ++v) {
    const OpPlace& at = flow.ops[v];
    const Agent& owner = p.agents[static_cast<std::size_t>(at.agent)];
    if (at.agent != agent) {
      if (agent >= 0) text += "  }\n";
      agent = at.agent;
      text += fmt::format("  subgraph cluster_{}a{} {{\n    label=\"{} ({} warps)\";\n", prefix, agent, quoted(owner.name), owner.warps);
    }
    const Op& op = owner.sections[static_cast<std::size_t>(at.section)][static_cast<std::size_t>(at.position)];
    const Section& section = p.sections[static_cast<std::size_t>(at.section)];
    const std::string trip = section.kind == SectionKind::once ? "" : op.skew ? fmt::format(" t-{}", op.skew) : " t";
    const std::string_view shape = info(op.kind).op_class == OpClass::sync ? "ellipse" : "box";
    text += fmt::format("    {}n{} [shape={}, label=\"{}{}: {}\\n{}\"];\n", prefix, v, shape, quoted(section.name), trip, quoted(op.role),
                        quoted(op_text(p, op, tensors)));
  }
  if (agent >= 0) text += "  }\n";
  for (const FlowEdge& e : flow.edges) {
    const bool token = e.kind == FlowKind::token;
    const auto id = static_cast<std::size_t>(e.id);
    const std::string& name = token ? p.tokens[id].name : p.tiles[id].name;
    const std::string distance = e.distance ? fmt::format(" ({})", e.distance) : "";
    text += fmt::format("  {}n{} -> {}n{} [label=\"{}{}\"{}];\n", prefix, e.from, prefix, e.to, quoted(name), distance,
                        token ? ", style=dashed" : "");
  }
  return text;
}

constexpr std::string_view kHead = "  rankdir=TB;\n  node [fontname=\"monospace\", fontsize=9];\n  edge [fontsize=8];\n";

}  // namespace

std::string to_graphviz(const Program& program) {
  return fmt::format("digraph program {{\n{}{}}}\n", kHead, body(program, {}, ""));
}

std::string to_graphviz(const Pipeline& pipeline) {
  std::string text = fmt::format("digraph pipeline {{\n{}  compound=true;\n  label=\"{}\";\n", kHead, quoted(pipeline.name()));
  for (std::size_t k = 0; k < pipeline.nodes().size(); ++k) {
    text += fmt::format("  k{} [shape=component, label=\"{}\"];\n", k, quoted(pipeline.nodes()[k].name()));
    if (const auto* kernel = std::get_if<Kernel>(&pipeline.nodes()[k].work)) {
      text += fmt::format("  subgraph cluster_k{} {{\n  label=\"{}\";\n{}  }}\n", k, quoted(kernel->name),
                          body(kernel->program, pipeline.tensors(), fmt::format("k{}", k)));
    }
  }
  for (const Edge& e : pipeline.edges()) text += fmt::format("  k{} -> k{} [penwidth=2];\n", e.from, e.to);
  return text + "}\n";
}

}  // namespace attnsim::ir
