// SPDX-License-Identifier: Apache-2.0
#include "validation/own_rows.h"

#include <algorithm>

#include "validation/bench/sampling.h"
#include "validation/counter_values.h"
#include "validation/own_problem.h"

namespace attnsim {

namespace {

double simulated(const Result& result) {
  const std::optional<double> time = result.ladder.at(Rung::simulated);
  if (!time) throw SimError("no simulated time");
  return *time;
}

bool same_problem(const OwnRow& a, const OwnRow& b) {
  Json x = bench::to_json(a.row.shape);
  Json y = bench::to_json(b.row.shape);
  for (Json* json : {&x, &y}) {
    for (const char* key : {"mask", "left", "right", "density", "seed"}) json->erase(key);
  }
  return a.row.device.name == b.row.device.name && a.row.kernel.name == b.row.kernel.name && a.row.policy.cold_l2 == b.row.policy.cold_l2 &&
         x == y;
}

// Calls f(slow, fast, measured ratio less its noise) for every clearly ordered pair.
template <class F>
void for_clear_pairs(std::span<const OwnRow> rows, double clear, F f) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows.size(); ++j) {
      if (i == j || rows[i].stale || rows[j].stale || !rows[i].predicted_us || !rows[j].predicted_us) continue;
      const double least = rows[i].measured_us - rows[i].half_width_us;
      const double most = rows[j].measured_us + rows[j].half_width_us;
      if (least > clear * most && same_problem(rows[i], rows[j])) f(i, j);
    }
  }
}

}  // namespace

OwnRow own_row(bench::Row row) {
  OwnRow own;
  own.measured_us = row.median_us();
  own.half_width_us = bench::median_half_width(row.timing.sample_us);
  MeasuredRow identity;
  identity.device = row.device.name;
  identity.kernel = row.kernel.name;
  identity.shape = bench::label(row.shape);
  own.split = split_of(identity);
  own.row = std::move(row);
  return own;
}

void predict_row(OwnRow& own, const Chip& chip) {
  if (own.row.kernel.schedule.empty()) {
    own.unmapped = "the kernel names no schedule";
    return;
  }
  try {
    OwnRequest own_request(own.row, chip);
    Request& request = own_request.request;
    const Result result = predict(request);
    own.predicted_us = simulated(result);
    for (const bench::Counter& counter : own.row.timing.counters)
      own.counters.push_back({counter.name, counter.value, predicted_counter(result, counter.name)});
    if (own.row.timing.clock_mhz > 0) {
      request.conditions.clock = ClockPolicy::locked;
      request.conditions.locked_mhz = std::clamp(own.row.timing.clock_mhz, chip.clock.min_mhz, chip.clock.boost_mhz);
      own.predicted_at_clock_us = simulated(predict(request));
    }
  } catch (const ConfigError& error) {
    own.unmapped = error.issues().empty() ? error.what() : error.issues().front().value + " " + error.issues().front().problem;
  } catch (const SimError& error) {
    own.unmapped = error.what();
  }
}

void add_speedups(std::span<OwnRow> rows) {
  for (OwnRow& row : rows) {
    if (row.stale || row.row.shape.mask == "dense") continue;
    for (const OwnRow& dense : rows) {
      if (dense.stale || dense.row.shape.mask != "dense" || !same_problem(row, dense)) continue;
      row.speedup = dense.measured_us / row.measured_us;
      if (dense.predicted_us && row.predicted_us) row.predicted_speedup = *dense.predicted_us / *row.predicted_us;
      break;
    }
  }
}

std::vector<Disorder> disorders(std::span<const OwnRow> rows, double clear) {
  std::vector<Disorder> out;
  for_clear_pairs(rows, clear, [&](std::size_t slow, std::size_t fast) {
    const double predicted = *rows[slow].predicted_us / *rows[fast].predicted_us;
    if (predicted <= 1) out.push_back({slow, fast, rows[slow].measured_us / rows[fast].measured_us, predicted});
  });
  return out;
}

std::size_t clear_pairs(std::span<const OwnRow> rows, double clear) {
  std::size_t count = 0;
  for_clear_pairs(rows, clear, [&](std::size_t, std::size_t) { ++count; });
  return count;
}

}  // namespace attnsim
