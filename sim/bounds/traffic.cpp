// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/traffic.h"

#include <algorithm>

namespace attnsim::bounds {

namespace {

void append(std::vector<TouchedBlock>& to, const std::vector<TouchedBlock>& blocks) {
  to.insert(to.end(), blocks.begin(), blocks.end());
}

bool one_stream(const ir::Pipeline& pipeline) {
  return std::all_of(pipeline.nodes().begin(), pipeline.nodes().end(),
                     [&](const ir::Node& node) { return node.stream == pipeline.nodes().front().stream; });
}

// What the kernels seen so far have touched of one tensor.
struct TensorHistory {
  std::vector<TouchedBlock> read;
  std::vector<TouchedBlock> written;
  double read_bytes = 0;
  double written_bytes = 0;
};

// Grows the union by `blocks`, which take `own` bytes, and returns by how many bytes.
double grow(std::vector<TouchedBlock>& all, double& bytes, const std::vector<TouchedBlock>& blocks, double own, const ir::Tensor& tensor) {
  if (blocks.empty()) return 0;
  const bool first = all.empty();
  append(all, blocks);
  const double before = bytes;
  bytes = first ? own : union_bytes(all, tensor);
  return bytes - before;
}

}  // namespace

PipelineTraffic compute_traffic(const ir::Pipeline& pipeline, Bytes l2_effective, L2Start start) {
  const auto capacity = static_cast<double>(l2_effective.count());
  const auto beyond = [&](double bytes) { return std::max(0.0, bytes - capacity); };
  const std::vector<ir::Tensor>& tensors = pipeline.tensors();
  const bool ordered = one_stream(pipeline);
  PipelineTraffic traffic;
  traffic.nodes.resize(pipeline.nodes().size());
  std::vector<TensorHistory> history(tensors.size());
  double read_back = 0;
  for (const int node : pipeline.order()) {
    const auto* kernel = std::get_if<ir::Kernel>(&pipeline.nodes()[static_cast<std::size_t>(node)].work);
    if (kernel == nullptr) continue;
    Traffic& own = traffic.nodes[static_cast<std::size_t>(node)];
    double first_reads = 0;  // inputs that nobody read before
    double other_reads = 0;
    double intermediates = 0;
    double written = 0;
    const std::vector<TensorTouch> touch = touched_by(*kernel, tensors);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const double reads = union_bytes(touch[t].read, tensors[t]);
      const double writes = union_bytes(touch[t].written, tensors[t]);
      const double fresh = grow(history[t].read, history[t].read_bytes, touch[t].read, reads, tensors[t]);
      grow(history[t].written, history[t].written_bytes, touch[t].written, writes, tensors[t]);
      own.touched_bytes += reads + writes;
      written += writes;
      if (tensors[t].role == ir::TensorRole::input) {
        first_reads += fresh;
        other_reads += reads - fresh;
      } else if (writes == 0) {
        intermediates += reads;
      }
      own.compulsory_bytes +=
          (tensors[t].role == ir::TensorRole::input ? reads : 0) + (tensors[t].role == ir::TensorRole::output ? writes : 0);
    }
    const bool certainly_first = start == L2Start::cold && ordered;
    own.hbm_bytes =
        (certainly_first ? first_reads + beyond(other_reads + intermediates) : beyond(first_reads + other_reads + intermediates)) +
        beyond(written);
    read_back += beyond(intermediates);
  }
  double inputs = 0;
  double written = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const TensorHistory& h = history[t];
    traffic.whole.touched_bytes += h.read_bytes + h.written_bytes;
    written += h.written_bytes;
    if (tensors[t].role == ir::TensorRole::input) inputs += h.read_bytes;
    if (tensors[t].role == ir::TensorRole::output) traffic.whole.compulsory_bytes += h.written_bytes;
  }
  traffic.whole.compulsory_bytes += inputs;
  traffic.whole.hbm_bytes = (start == L2Start::cold ? inputs + beyond(written) : beyond(inputs + written)) + read_back;
  return traffic;
}

}  // namespace attnsim::bounds
