// SPDX-License-Identifier: Apache-2.0
// The models to beat: the roofline of the data sheet, and the same with three fitted numbers,
//   T = T0 + max(F / (a peak), B / (b bandwidth)).
#pragma once

#include <optional>
#include <span>

namespace attnsim {

struct RooflinePoint {
  double flop_us = 0;  // F / peak
  double byte_us = 0;  // B / bandwidth
  double measured_us = 0;
};

struct FittedRoofline {
  double t0_us = 0;
  double a = 1;
  double b = 1;
  [[nodiscard]] double predict_us(const RooflinePoint& point) const;
};

[[nodiscard]] double spec_roofline_us(const RooflinePoint& point);
// Grid search for the smallest mean absolute percentage error: a coarse grid over T0, log a and log b, then ever finer grids round the
// best point. Absent without points. Deterministic.
[[nodiscard]] std::optional<FittedRoofline> fit_roofline(std::span<const RooflinePoint> points);
[[nodiscard]] double mape_of(const FittedRoofline& model, std::span<const RooflinePoint> points);

}  // namespace attnsim
