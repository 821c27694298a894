// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/overlay.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/core/json_reader.h"

namespace attnsim::bench {

std::string overlay_text(const Device& device, const std::vector<Microbenchmark>& results, const std::string& version) {
  nlohmann::ordered_json figures = nlohmann::ordered_json::object();
  for (const Microbenchmark& m : results) {
    if (m.figure.empty() || !std::isfinite(m.value)) continue;
    const double value = std::stod(fmt::format("{:.5g}", m.value));
    nlohmann::ordered_json figure;
    if (m.figure == "sm.count" || m.figure == "sm.lanes_per_warp")
      figure["value"] = static_cast<std::int64_t>(value);
    else
      figure["value"] = value;
    figure["status"] = "measured";
    figure["source"] = fmt::format("{}: {}; {}", m.name, m.conditions, device.name);
    figure["uncertainty"] = fmt::format("+- {:.2g} {}(95 %, {} samples)", m.half_width, m.unit.empty() ? "" : m.unit + " ", m.samples);
    figures[m.figure] = figure;
  }
  nlohmann::ordered_json overlay;
  overlay["chip"] = device.chip;
  overlay["description"] = fmt::format("{} ({}), measured by {}", device.name, device.driver, version);
  overlay["fitted_on"] = "nothing fitted: microbenchmarks only";
  overlay["figures"] = figures;
  return overlay.dump(2) + "\n";
}

}  // namespace attnsim::bench
