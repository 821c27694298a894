// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/own_model_rows.h"

#include <fmt/format.h>

#include <memory>
#include <set>

#include "validation/measured.h"
#include "validation/own_problem.h"

namespace attnsim {

namespace {

ModelRow model_row(const OwnRow& own, const std::string& file, const std::shared_ptr<const Chip>& chip) {
  auto held = std::make_shared<OwnRequest>(own.row, *chip);
  const Request& request = held->request;
  ModelRow row;
  row.row.file = file;
  row.row.id = bench::label(own.row.shape);
  row.row.device = own.row.device.name;
  row.row.kernel = own.row.kernel.name;
  row.row.phase = request.problem.is_decode() ? "decode" : "prefill";
  row.row.shape = row.row.id;
  row.row.measured_us = own.measured_us;
  row.mapped.chip = chip;
  row.mapped.schedule = std::make_shared<const Schedule>(request.schedule);
  row.mapped.variant = request.variant;
  row.mapped.problem = request.problem;
  row.mapped.conditions = request.conditions;
  row.mapped.harness = own.row.harness;
  row.holds = std::move(held);
  return row;
}

}  // namespace

OwnModelRows own_model_rows(const std::filesystem::path& folder, const std::string& chip) {
  OwnModelRows out;
  std::set<std::string> devices, chips;
  const auto shipped = std::make_shared<const Chip>(load_chip(chip));
  for (const MeasuredDevice& device : read_measured(folder)) {
    chips.insert(device.chip.empty() ? device.device : device.chip);
    if (device.chip != chip) continue;
    if (device.overlay && out.overlay)
      throw ConfigError(
          {folder.string(), "", chip, "is several devices there, each with its overlay.json", "the folder of one of them", ""});
    if (device.overlay) out.overlay = read_json_file(*device.overlay);
    devices.insert(device.device);
    const std::string file = device.folder + "/rows.jsonl";
    out.files.push_back(file);
    for (const OwnRow& own : device.rows) {
      if (own.stale) {
        ++out.unmapped["stale: the kernel's source has changed since"];
        continue;
      }
      if (own.row.kernel.schedule.empty()) {
        ++out.unmapped["the kernel names no schedule"];
        continue;
      }
      try {
        (own.split == Split::calibration ? out.calibration : out.unseen).push_back(model_row(own, file, shipped));
      } catch (const ConfigError& error) {
        ++out.unmapped["not legal: " + error.issues().front().problem];
      }
    }
  }
  if (out.files.empty())
    throw ConfigError({folder.string(), "", chip, "has no rows of attnsim-bench there",
                       chips.empty() ? "a folder with rows.jsonl, or one of such folders" : fmt::format("{}", fmt::join(chips, ", ")), ""});
  out.devices.assign(devices.begin(), devices.end());
  return out;
}

}  // namespace attnsim
