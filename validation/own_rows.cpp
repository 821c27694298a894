// SPDX-License-Identifier: Apache-2.0
#include "validation/own_rows.h"

#include <algorithm>

#include "validation/bench/sampling.h"
#include "workloads/catalog.h"
#include "workloads/harness.h"

namespace attnsim {

namespace {

// The variant of attnsim for a mask; "" where there is none.
std::string variant_of(const bench::Shape& shape) {
  if (shape.mask == "window") return "sliding-window";
  for (const Variant& v : variants()) {
    if (v.name == shape.mask) return shape.mask;
  }
  return "";
}

Problem problem_of(const bench::Shape& shape) {
  Problem p;
  p.batch = shape.batch;
  p.q_heads = shape.q_heads;
  p.kv_heads = shape.kv_heads;
  p.q_len = {shape.q_len};
  p.kv_len = {shape.kv_len};
  p.head_dim_qk = p.head_dim_v = shape.head_dim;
  for (const ir::DType t : {ir::DType::bf16, ir::DType::f16, ir::DType::f32})
    if (ir::name_of(t) == shape.dtype) p.dtype = t;
  if (shape.mask == "window") {
    p.params["left"] = shape.left;
    p.params["right"] = shape.right;
    p.params["alignment"] = std::string("bottom-right");
  }
  return p;
}

double simulated(const Request& request) {
  const std::optional<double> time = predict(request).ladder.at(Rung::simulated);
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
  const std::string name = variant_of(own.row.shape);
  if (name.empty() || own.row.shape.backward || own.row.kernel.schedule.empty()) {
    own.unmapped = name.empty()             ? "no variant for mask " + own.row.shape.mask
                   : own.row.shape.backward ? "backward"
                                            : "the kernel names no schedule";
    return;
  }
  try {
    Request request;
    request.workload = bench::label(own.row.shape);
    request.variant = &variant(name);
    request.problem = problem_of(own.row.shape);
    request.schedule = load_schedule(own.row.kernel.schedule);
    request.chip = chip;
    request.conditions = load_harness(own.row.harness).for_phase(request.problem.is_decode() ? "decode" : "prefill");
    own.predicted_us = simulated(request);
    if (own.row.timing.clock_mhz > 0) {
      request.conditions.clock = ClockPolicy::locked;
      request.conditions.locked_mhz = std::clamp(own.row.timing.clock_mhz, chip.clock.min_mhz, chip.clock.boost_mhz);
      own.predicted_at_clock_us = simulated(request);
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
