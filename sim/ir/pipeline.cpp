// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/pipeline.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <map>
#include <queue>

#include "sim/core/error.h"

namespace attnsim::ir {

namespace {

using NodeGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS>;

// Topological order that takes the earliest declared node among the ready ones.
std::vector<int> stable_order(const NodeGraph& graph, const std::string& name) {
  std::vector<std::size_t> missing;
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t v = 0; v < boost::num_vertices(graph); ++v) {
    missing.push_back(boost::in_degree(v, graph));
    if (missing.back() == 0) ready.push(static_cast<int>(v));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int v = ready.top();
    ready.pop();
    order.push_back(v);
    for (auto [e, end] = boost::out_edges(static_cast<std::size_t>(v), graph); e != end; ++e) {
      const std::size_t to = boost::target(*e, graph);
      if (--missing[to] == 0) ready.push(static_cast<int>(to));
    }
  }
  if (order.size() != boost::num_vertices(graph)) throw Invariant("pipeline " + name + " has a cycle");
  return order;
}

void check_kernel(const Kernel& kernel, const std::vector<Tensor>& tensors) {
  try {
    check(kernel.program);
    for (const Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const Op& op : section) {
          if (info(op.kind).op_class != OpClass::copy) continue;
          const TensorId id = op.access.tensor;
          if (id < 0 || id >= static_cast<int>(tensors.size()))
            throw Invariant("agent " + agent.name + ", " + op.role + ": unknown tensor");
          if (op.access.slab_divisor <= 0) throw Invariant("agent " + agent.name + ", " + op.role + ": slab divisor is not positive");
        }
      }
    }
  } catch (const Invariant& e) {
    throw Invariant("kernel " + kernel.name + ": " + e.what());
  }
}

}  // namespace

Bytes Tensor::bytes() const {
  const std::int64_t all_rows = stored_rows > 0 ? stored_rows : slabs * rows;
  return Bytes((all_rows * cols * bits_of(dtype) + 7) / 8);
}

const std::string& Node::name() const {
  return std::visit([](const auto& w) -> const std::string& { return w.name; }, work);
}

TensorId PipelineBuilder::tensor(Tensor tensor) {
  pipeline_.tensors_.push_back(std::move(tensor));
  return static_cast<TensorId>(pipeline_.tensors_.size()) - 1;
}

int PipelineBuilder::add_node(Node node) {
  pipeline_.nodes_.push_back(std::move(node));
  return static_cast<int>(pipeline_.nodes_.size()) - 1;
}

int PipelineBuilder::add(Kernel kernel, int stream) {
  return add_node(Node{std::move(kernel), stream, 0});
}
int PipelineBuilder::add(Transfer transfer, int stream) {
  return add_node(Node{std::move(transfer), stream, 0});
}
int PipelineBuilder::add(HostGap gap, int stream) {
  return add_node(Node{std::move(gap), stream, 0});
}

void PipelineBuilder::depend(int from, int to) {
  pipeline_.edges_.push_back({from, to});
}

Pipeline PipelineBuilder::build() {
  Pipeline p = std::move(pipeline_);
  const int count = static_cast<int>(p.nodes_.size());
  for (const Node& node : p.nodes_) {
    if (const auto* kernel = std::get_if<Kernel>(&node.work)) check_kernel(*kernel, p.tensors_);
  }
  std::map<int, int> last;  // of each stream
  for (int v = 0; v < count; ++v) {
    const int stream = p.nodes_[static_cast<std::size_t>(v)].stream;
    const auto previous = last.find(stream);
    if (previous != last.end()) p.edges_.push_back({previous->second, v});
    last[stream] = v;
  }
  const auto before = [](const Edge& a, const Edge& b) { return std::pair(a.from, a.to) < std::pair(b.from, b.to); };
  const auto same = [](const Edge& a, const Edge& b) { return a.from == b.from && a.to == b.to; };
  std::sort(p.edges_.begin(), p.edges_.end(), before);
  p.edges_.erase(std::unique(p.edges_.begin(), p.edges_.end(), same), p.edges_.end());
  NodeGraph graph(static_cast<std::size_t>(count));
  for (const Edge& e : p.edges_) {
    if (e.from < 0 || e.from >= count || e.to < 0 || e.to >= count) throw Invariant("pipeline " + p.name_ + ": edge to an unknown node");
    boost::add_edge(static_cast<std::size_t>(e.from), static_cast<std::size_t>(e.to), graph);
  }
  p.order_ = stable_order(graph, p.name_);
  return p;
}

}  // namespace attnsim::ir
