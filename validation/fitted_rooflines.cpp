// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <tuple>

#include "validation/evaluate.h"

namespace attnsim {

namespace {

using FitKey = std::tuple<std::string, std::string, std::string>;
FitKey fit_key(const MeasuredRow& row) {
  return {row.file, row.device, row.phase};
}

}  // namespace

void apply_fitted_rooflines(std::vector<RowOutcome>& outcomes, const std::vector<RowOutcome>& fit) {
  std::map<FitKey, std::vector<RooflinePoint>> points;
  for (const RowOutcome& outcome : fit)
    if (outcome.roofline) points[fit_key(outcome.row)].push_back(*outcome.roofline);
  std::map<FitKey, std::optional<FittedRoofline>> models;
  for (RowOutcome& outcome : outcomes) {
    if (!outcome.roofline) continue;
    const FitKey key = fit_key(outcome.row);
    const auto [slot, fresh] = models.try_emplace(key);
    if (fresh) slot->second = fit_roofline(points[key]);
    if (slot->second) outcome.fitted_roofline_us = slot->second->predict_us(*outcome.roofline);
  }
}

}  // namespace attnsim
