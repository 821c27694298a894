// SPDX-License-Identifier: Apache-2.0
#include "sim/value/value_run.h"

#include <fmt/format.h>

#include <limits>

#include "sim/core/error.h"
#include "sim/value/random_order.h"
#include "sim/value/replay.h"

namespace attnsim::value {

ValueRun::ValueRun(const ir::Pipeline& pipeline, std::vector<TensorData> inputs) : pipeline_(&pipeline) {
  std::size_t next = 0;
  for (const ir::Tensor& t : pipeline.tensors()) {
    if (t.role == ir::TensorRole::intermediate && t.same_memory != ir::kNone) {
      tensors_.push_back({});
      tensors_.back().slabs = t.slabs;
      tensors_.back().rows = t.rows;
      tensors_.back().cols = t.cols;
      tensors_.back().same_memory = t.same_memory;
      continue;
    }
    if (t.role != ir::TensorRole::input) {
      tensors_.emplace_back(t.slabs, t.rows, t.cols, std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    if (next == inputs.size()) throw SimError("no values for input " + t.name);
    TensorData& data = inputs[next++];
    if (data.slabs != t.slabs || data.rows != t.rows || data.cols != t.cols) {
      throw SimError(fmt::format("values of {} are [{} x {} x {}], the tensor is [{} x {} x {}]", t.name, data.slabs, data.rows, data.cols,
                                 t.slabs, t.rows, t.cols));
    }
    tensors_.push_back(std::move(data));
  }
  if (next != inputs.size()) throw SimError(fmt::format("{} input tensors given, {} needed", inputs.size(), next));
}

void ValueRun::run_random(const RandomOptions& options) {
  CounterRng rng(options.seed);
  for (const int node : pipeline_->order()) {
    const auto* kernel = std::get_if<ir::Kernel>(&pipeline_->nodes()[static_cast<std::size_t>(node)].work);
    if (kernel != nullptr) run_random_order(*kernel, tensors_, options.persistent_ctas, rng);
  }
}

void ValueRun::replay(int node, std::span<const CompletedOp> events) {
  const auto* kernel = std::get_if<ir::Kernel>(&pipeline_->nodes().at(static_cast<std::size_t>(node)).work);
  require(kernel != nullptr, "only kernels are replayed");
  replay_events(*kernel, events, tensors_);
}

}  // namespace attnsim::value
