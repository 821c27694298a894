// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "hwmodels/figures.h"

namespace attnsim {

namespace {

std::string plain(double value) {
  std::string text = fmt::format("{}", value);
  if (text.size() > 2 && text.compare(text.size() - 2, 2, ".0") == 0) text.resize(text.size() - 2);
  return text;
}

FigureRow make_row(const Chip& chip, const std::string& path, double value, std::string value_text, std::string unit) {
  const auto found = chip.provenance.find(path);
  const Provenance provenance = found == chip.provenance.end() ? Provenance{} : found->second;
  return {path, value, std::move(value_text), std::move(unit), std::string(name_of(provenance.status)), provenance.source};
}

template <class Row>
std::size_t widest(const std::vector<Row>& rows, const std::function<std::size_t(const Row&)>& size, std::size_t least) {
  for (const Row& row : rows) least = std::max(least, size(row));
  return least;
}

std::string figure_table_text(const std::vector<FigureRow>& rows) {
  const auto path = widest<FigureRow>(
      rows, [](const auto& r) { return r.path.size(); }, 6);
  const auto value = widest<FigureRow>(
      rows, [](const auto& r) { return r.value_text.size(); }, 5);
  const auto unit = widest<FigureRow>(
      rows, [](const auto& r) { return r.unit.size(); }, 4);
  std::string text = fmt::format("{:<{}}  {:>{}}  {:<{}}  {:<9}  source\n", "figure", path, "value", value, "unit", unit, "status");
  for (const FigureRow& r : rows) {
    text += fmt::format("{:<{}}  {:>{}}  {:<{}}  {:<9}  {}\n", r.path, path, r.value_text, value, r.unit, unit, r.status, r.source);
  }
  return text;
}

std::string derived_table_text(const Chip& chip, const std::vector<DerivedRow>& rows) {
  const std::string title = fmt::format("derived at {} MHz", plain(chip.clock.boost_mhz));
  const auto name = widest<DerivedRow>(
      rows, [](const auto& r) { return r.name.size(); }, title.size());
  std::string text = fmt::format("{:<{}}  {:>10}  unit\n", title, name, "value");
  for (const DerivedRow& r : rows) text += fmt::format("{:<{}}  {:>10}  {}\n", r.name, name, fmt::format("{:.4g}", r.value), r.unit);
  return text;
}

}  // namespace

std::vector<FigureRow> figure_rows(const Chip& chip) {
  std::vector<FigureRow> rows;
  for (const Figure& figure : figure_table()) {
    const double value = figure.get(chip);
    if (figure.optional && value == 0) continue;
    std::string value_text = figure.kind == FigureKind::boolean ? (value != 0 ? "true" : "false") : plain(value);
    rows.push_back(make_row(chip, std::string(figure.path), value, std::move(value_text), std::string(figure.unit)));
  }
  for (std::size_t i = 0; i < chip.links.size(); ++i) {
    const Link& link = chip.links[i];
    const std::string path = fmt::format("links.{}.", i);
    rows.push_back(make_row(chip, path + "bandwidth_gb_per_s", link.bandwidth_gb_per_s, plain(link.bandwidth_gb_per_s), "GB/s"));
    rows.push_back(make_row(chip, path + "latency_us", link.latency_us, plain(link.latency_us), "us"));
  }
  return rows;
}

std::vector<DerivedRow> derived_rows(const Chip& chip) {
  const double mhz = chip.clock.boost_mhz;
  const double sms = chip.sm.count;
  std::vector<DerivedRow> rows;
  for (const auto& entry : chip.tensor.flop_per_clk_per_sm) {
    rows.push_back({"peak " + entry.first, chip.peak_tflops(entry.first), "TFLOP/s"});
  }
  rows.push_back({"peak fp32", 2 * chip.sm.fp32_lanes * sms * mhz * 1e-6, "TFLOP/s"});
  rows.push_back({"exp2", chip.sm.sfu_lanes * sms * mhz * 1e-6, "T/s"});
  rows.push_back({"shared memory", chip.sm.smem_bytes_per_clk * sms * mhz * 1e-3, "GB/s"});
  rows.push_back({"L2", chip.l2.bandwidth_bytes_per_clk * mhz * 1e-3, "GB/s"});
  rows.push_back({"memory, best achieved", chip.hbm.bandwidth_gb_per_s * chip.hbm.efficiency, "GB/s"});
  rows.push_back({"L2, effective", static_cast<double>(chip.l2_effective().count()) / (1024.0 * 1024.0), "MiB"});
  for (const auto& entry : chip.tensor.flop_per_clk_per_sm) {
    rows.push_back({"ridge " + entry.first, chip.peak_tflops(entry.first) * 1e3 / chip.hbm.bandwidth_gb_per_s, "FLOP/B"});
  }
  return rows;
}

std::string chip_text(const Chip& chip, bool only_fitted) {
  std::string text = fmt::format("{}: {} ({}, isa {}, matrix instructions {})\n", chip.name, chip.description, chip.vendor, chip.isa,
                                 fmt::join(chip.tensor.instructions, ", "));
  if (!chip.overlay.empty()) text += fmt::format("overlay: {}\n", chip.overlay);
  std::vector<FigureRow> rows = figure_rows(chip);
  if (only_fitted) {
    const std::string fitted(name_of(FigureStatus::fitted));
    rows.erase(std::remove_if(rows.begin(), rows.end(), [&](const FigureRow& r) { return r.status != fitted; }), rows.end());
    return text + (rows.empty() ? "no fitted figures\n" : figure_table_text(rows));
  }
  return text + figure_table_text(rows) + "\n" + derived_table_text(chip, derived_rows(chip));
}

}  // namespace attnsim
