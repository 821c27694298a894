// SPDX-License-Identifier: Apache-2.0
// From a measured row to a request: kernel map, harness, chip, problem.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/chip_loader.h"
#include "sim/predict/predict.h"
#include "validation/row.h"
#include "workloads/harness.h"
#include "workloads/kernel_map.h"

namespace attnsim {

// Chips, schedules and harnesses by name, each loaded once and shared. Not for use by several threads at once.
class Catalog {
 public:
  [[nodiscard]] std::shared_ptr<const Chip> chip(const std::string& name);
  [[nodiscard]] std::shared_ptr<const Schedule> schedule(const std::string& name);
  [[nodiscard]] std::shared_ptr<const Harness> harness(const std::string& name);

 private:
  std::map<std::string, std::shared_ptr<const Chip>> chips_;
  std::map<std::string, std::shared_ptr<const Schedule>> schedules_;
  std::map<std::string, std::shared_ptr<const Harness>> harnesses_;
};

struct MappedRow {
  std::shared_ptr<const Chip> chip;          // nullptr: no chip file describes the device
  std::shared_ptr<const Schedule> schedule;  // nullptr: unmapped
  std::shared_ptr<const Schedule> backward;  // of the backward pass, where the row times it behind the forward pass; else nullptr
  std::optional<TilePair> tiles;             // of the row, where the schedule works on boxes and got them
  const Variant* variant = nullptr;
  Problem problem;
  Conditions conditions;
  Conditions backward_conditions;  // with `backward`: no constant and no first launch of its own
  std::string harness;
  TimedKernels timed;    // empty: the whole call
  std::string unmapped;  // why; "" when mapped

  [[nodiscard]] Request request(const MeasuredRow& row, EngineKind engine) const;
  // The passes of the row: their times add up to its own. Of two passes the second starts from the harness's L2 state, not from what
  // the first one left.
  [[nodiscard]] std::vector<Request> requests(const MeasuredRow& row, EngineKind engine) const;
  [[nodiscard]] std::string schedules() const;  // by name, "forward + backward" where there are two
  // Rows with one key are one prediction.
  [[nodiscard]] std::string key() const;
};

[[nodiscard]] MappedRow map_row(const MeasuredRow& row, const KernelMaps& maps, Catalog& catalog);
// nullptr when no chip file describes the device.
[[nodiscard]] std::shared_ptr<const Chip> chip_of(const MeasuredRow& row, const KernelMaps& maps, Catalog& catalog);
[[nodiscard]] MapKey map_key(const MeasuredRow& row);
// "bf16", "fp16" (also with "/f16acc"), "fp8"; absent for types that no chip file gives a rate for.
[[nodiscard]] std::optional<ir::DType> dtype_of(const std::string& name);
// What products are summed up in: FP16 for names with "/f16acc".
[[nodiscard]] ir::DType accumulator_of(const std::string& name);

}  // namespace attnsim
