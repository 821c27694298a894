// SPDX-License-Identifier: Apache-2.0
// A pipeline: global tensors and a DAG of kernels, transfers and host gaps on streams. Built once, then const.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/units.h"
#include "sim/ir/kernel.h"

namespace attnsim::ir {

// A global tensor: `slabs` row-major matrices of [rows x cols].
enum class TensorRole : std::uint8_t { input, output, intermediate };
struct Tensor {
  std::string name;
  std::int64_t slabs = 1;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  DType dtype = DType::f32;
  TensorRole role = TensorRole::input;
  std::int64_t stored_rows = 0;  // rows of all slabs together where slabs are ragged; 0: slabs * rows
  // The same memory as another tensor, whose slabs lie side by side in its rows: row r, counted through its slabs, is row
  // r % other.rows of the cols / other.cols slabs from r / other.rows * (cols / other.cols) on (a KV cache written for all heads of a
  // token, read by head).
  TensorId same_memory = kNone;
  int column_parts = 1;  // equal parts of the columns that are loaded one by one
  [[nodiscard]] Bytes bytes() const;
};

enum class TransferPattern : std::uint8_t { p2p, all_gather, all_to_all, reduce_scatter };
struct Transfer {
  std::string name;
  Bytes bytes;
  TransferPattern pattern = TransferPattern::p2p;
  int ranks = 2;
};
struct HostGap {
  std::string name;
  Nanoseconds time;
};

struct Node {
  std::variant<Kernel, Transfer, HostGap> work;
  int stream = 0;
  int rank_class = 0;
  [[nodiscard]] const std::string& name() const;
};
struct Edge {
  int from = 0;
  int to = 0;
};

class Pipeline {
 public:
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<Tensor>& tensors() const { return tensors_; }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<Edge>& edges() const { return edges_; }  // includes the stream order
  [[nodiscard]] const std::vector<int>& order() const { return order_; }   // topological, stable

 private:
  friend class PipelineBuilder;
  std::string name_;
  std::vector<Tensor> tensors_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::vector<int> order_;
};

// Collects tensors and nodes; build() checks every program and the graph (Boost.Graph: cycles) and throws Invariant.
//   PipelineBuilder b("gemm"); const TensorId a = b.tensor({...}); b.add(kernel); Pipeline p = b.build();  // once
class PipelineBuilder {
 public:
  explicit PipelineBuilder(std::string name) { pipeline_.name_ = std::move(name); }
  TensorId tensor(Tensor tensor);
  int add(Kernel kernel, int stream = 0);
  int add(Transfer transfer, int stream = 0);
  int add(HostGap gap, int stream = 0);
  void depend(int from, int to);
  [[nodiscard]] Pipeline build();

 private:
  int add_node(Node node);
  Pipeline pipeline_;
};

// Graphviz text: kernels with their agents, ops and dataflow edges (value, loop distance).
[[nodiscard]] std::string to_graphviz(const Pipeline& pipeline);
[[nodiscard]] std::string to_graphviz(const Program& program);
// The text form of docs/ir.md.
[[nodiscard]] std::string to_text(const Pipeline& pipeline);
[[nodiscard]] std::string to_text(const Program& program, const std::vector<Tensor>& tensors);

}  // namespace attnsim::ir
