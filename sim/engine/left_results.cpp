// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/left_results.h"

#include <algorithm>
#include <cmath>

#include "sim/engine/chip_share.h"

namespace attnsim {

namespace {

// How much is walked, in capacities of L2, from the end: next to nothing is left of what came before.
constexpr double kWalkedCapacities = 1.25;

struct Touched {
  const ir::Access* access = nullptr;
  const ir::Tensor* tensor = nullptr;
  bool stored = false;

  [[nodiscard]] double slab_bytes() const {
    const double tensor_slab = static_cast<double>(tensor->bytes().count()) / static_cast<double>(tensor->slabs);
    return tensor_slab * std::max(1, access->slab_multiplier) / access->slab_divisor;
  }
};

// Each tensor once as loaded and once as stored, the loaded ones first.
std::vector<Touched> touched_by(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors) {
  std::vector<Touched> touched;
  for (const bool stored : {false, true}) {
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          const bool stores = op.kind == ir::OpKind::store || op.kind == ir::OpKind::atomic;
          if (stored ? !stores : op.kind != ir::OpKind::load) continue;
          const auto same = [&](const Touched& other) { return other.access->tensor == op.access.tensor && other.stored == stored; };
          if (std::any_of(touched.begin(), touched.end(), same)) continue;
          touched.push_back({&op.access, &tensors[static_cast<std::size_t>(op.access.tensor)], stored});
        }
      }
    }
  }
  return touched;
}

void walk_slabs(const Touched& touched, std::int64_t begin, std::int64_t end, L2Cache& cache) {
  for (std::int64_t slab = begin; slab < end; ++slab) {
    const std::int64_t first = touched.access->slab_of(slab);
    const std::int64_t last = std::min<std::int64_t>(first + std::max(1, touched.access->slab_multiplier), touched.tensor->slabs);
    for (std::int64_t s = first; s < last; ++s) (void)cache.access(touched.access->tensor, s, 0, touched.tensor->rows, touched.stored);
  }
}

}  // namespace

void leave_results(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, const ChipPart& part,
                   L2Cache& cache) {
  const std::vector<Touched> touched = touched_by(kernel, tensors);
  const auto read_later = [&](const Touched& t) {
    // The cache that a kernel has written is read as another tensor.
    const ir::Tensor& read_as = t.tensor->same_memory == ir::kNone ? *t.tensor : tensors[static_cast<std::size_t>(t.tensor->same_memory)];
    return t.stored && read_as.role == ir::TensorRole::intermediate;
  };
  if (std::none_of(touched.begin(), touched.end(), read_later)) return;
  const double l2_bytes = static_cast<double>(chip.l2_effective().count()) / part.times;
  const std::int64_t slots = std::int64_t{part.sms} * ctas_per_sm(kernel, chip);
  for (const ir::ItemFamily& family : kernel.families) {
    const std::int64_t slabs = part.slabs_of(family.slab_count);
    if (slabs < 1 || family.tiles.empty()) continue;
    const bool abreast = kernel.grid.fastest == ir::Fastest::slabs;
    const std::int64_t in_flight =
        abreast ? slabs : std::clamp<std::int64_t>(slots / static_cast<std::int64_t>(family.tiles.size()), 1, slabs);
    const auto counts = [&](const Touched& t) { return t.stored || in_flight < slabs; };  // of all slabs at once what comes last stays
    double slab_bytes = 1;
    for (const Touched& t : touched) slab_bytes += counts(t) ? t.slab_bytes() : 0;
    const auto walked = static_cast<std::int64_t>(std::ceil(kWalkedCapacities * l2_bytes / slab_bytes));
    for (std::int64_t begin = std::max<std::int64_t>(0, slabs - walked); begin < slabs; begin += in_flight) {
      for (const Touched& t : touched) {
        if (counts(t)) walk_slabs(t, family.slab_begin + begin, family.slab_begin + std::min(begin + in_flight, slabs), cache);
      }
    }
  }
}

}  // namespace attnsim
