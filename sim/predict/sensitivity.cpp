// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/sensitivity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/figures.h"

namespace attnsim {

namespace {

constexpr double kStep = 0.1;
constexpr double kMovesNothing = 1e-4;  // relative change of the time
constexpr double kMovesLittle = 1e-3;

// How an SM is built, not how much of something it has.
bool is_structure(const Figure& figure) {
  return figure.path == "sm.gpcs" || figure.path == "sm.subpartitions" || figure.path == "sm.lanes_per_warp";
}

double clamped(const Figure& figure, double value) {
  if (figure.kind == FigureKind::integer) value = std::round(value);
  return std::clamp(value, figure.min, figure.max);
}

struct Probe {
  double value = 0;
  double time_us = 0;
};

// Times at p / 1.1, p, p * 1.1, inside the figure's range; integers move by at least one.
std::vector<Probe> probes(const Request& base, double base_us, const Figure& figure) {
  const double now = figure.get(base.chip);
  std::vector<Probe> out{{now, base_us}};
  for (const double factor : {1 / (1 + kStep), 1 + kStep}) {
    double value = clamped(figure, now * factor);
    if (value == now && figure.kind == FigureKind::integer) value = clamped(figure, now + (factor > 1 ? 1 : -1));
    if (value == now) continue;
    Request changed = base;
    figure.set(changed.chip, value);
    if (const std::optional<double> time = what_if_us(changed)) out.push_back({value, *time});
  }
  std::sort(out.begin(), out.end(), [](const Probe& a, const Probe& b) { return a.value < b.value; });
  return out;
}

std::optional<Sensitivity> of_figure(const Request& base, double base_us, const Figure& figure) {
  const double now = figure.get(base.chip);
  if (figure.kind == FigureKind::boolean || !(now > 0) || is_structure(figure)) return std::nullopt;
  const std::vector<Probe> at = probes(base, base_us, figure);
  const Probe& low = at.front();
  const Probe& high = at.back();
  if (!(high.value > low.value)) return std::nullopt;
  const double moved = std::max(std::abs(low.time_us - base_us), std::abs(high.time_us - base_us));
  if (moved < kMovesNothing * base_us) return std::nullopt;
  const bool low_is_faster = low.time_us < high.time_us;
  const Probe& better = low_is_faster ? low : high;
  const Probe& worse = low_is_faster ? high : low;
  const bool helps = better.time_us < base_us * (1 - kMovesNothing);
  const Probe& shown = helps ? better : worse;
  Sensitivity s;
  s.parameter = std::string(figure.path);
  s.elasticity = std::log(high.time_us / low.time_us) / std::log(high.value / low.value);
  s.time_us = shown.time_us;
  s.gain = 1 - shown.time_us / base_us;
  if (helps) s.leverage = std::log(base_us / better.time_us) / std::abs(std::log(better.value / now));
  s.change = fmt::format("{:.4g} -> {:.4g}{}{}", now, shown.value, figure.unit.empty() ? "" : " ", figure.unit);
  return s;
}

}  // namespace

Sensitivities what_would_help(const Request& request) {
  const Request base = affordable(request);
  Sensitivities out;
  out.engine = base.engine;
  out.base_us = what_if_us(base).value_or(0);
  if (!(out.base_us > 0)) return out;
  for (const Figure& figure : figure_table()) {
    if (std::optional<Sensitivity> s = of_figure(base, out.base_us, figure)) out.chip.push_back(std::move(*s));
  }
  if (base.conditions.clock == ClockPolicy::locked) {  // the chip's highest clock does not matter then
    Request low = base;
    Request high = base;
    low.conditions.locked_mhz /= 1 + kStep;
    high.conditions.locked_mhz *= 1 + kStep;
    const double slower = what_if_us(low).value_or(out.base_us);
    const double faster = what_if_us(high).value_or(out.base_us);
    const double step = std::log(1 + kStep);
    out.chip.push_back({"locked clock", fmt::format("{:.0f} -> {:.0f} MHz", base.conditions.locked_mhz, high.conditions.locked_mhz),
                        std::log(faster / slower) / (2 * step), faster, 1 - faster / out.base_us,
                        std::max(0.0, std::log(out.base_us / faster) / step)});
  }
  std::stable_sort(out.chip.begin(), out.chip.end(), [](const Sensitivity& a, const Sensitivity& b) {
    if (a.leverage != b.leverage) return a.leverage > b.leverage;
    return std::abs(*a.elasticity) > std::abs(*b.elasticity);
  });
  std::vector<Variation> variations = schedule_neighbours(base);
  for (Variation& v : other_schedules(base)) variations.push_back(std::move(v));
  for (const Variation& v : variations) {
    const std::optional<double> time = what_if_us(v.request);
    if (!time || std::abs(*time - out.base_us) < kMovesLittle * out.base_us) continue;
    out.schedule.push_back({v.name, v.change, std::nullopt, *time, 1 - *time / out.base_us, 0});
  }
  std::stable_sort(out.schedule.begin(), out.schedule.end(), [](const Sensitivity& a, const Sensitivity& b) { return a.gain > b.gain; });
  return out;
}

}  // namespace attnsim
