// SPDX-License-Identifier: Apache-2.0
#include "sim/store/rows.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "sim/core/json_reader.h"

namespace attnsim::store {
namespace {

constexpr std::array<std::pair<std::string_view, double WorkCounts::*>, 11> kCounts{{
    {"tensor_flops", &WorkCounts::tensor_flops},
    {"useful_tensor_flops", &WorkCounts::useful_tensor_flops},
    {"exp_count", &WorkCounts::exp_count},
    {"useful_exp_count", &WorkCounts::useful_exp_count},
    {"fp32_ops", &WorkCounts::fp32_ops},
    {"alu_ops", &WorkCounts::alu_ops},
    {"sfu_ops", &WorkCounts::sfu_ops},
    {"warp_instructions", &WorkCounts::warp_instructions},
    {"smem_bytes", &WorkCounts::smem_bytes},
    {"l2_bytes", &WorkCounts::l2_bytes},
    {"hbm_bytes", &WorkCounts::hbm_bytes},
}};

std::int64_t integer(std::size_t value) {
  return static_cast<std::int64_t>(value);
}

Value or_null(const std::optional<double>& value) {
  return value ? Value(*value) : Value();
}

Value or_null(const std::string& text) {
  return text.empty() ? Value() : Value(text);
}

// Calls add(position, name, time, limiter) for every rung that was computed.
template <class Add>
void each_rung(const Ladder& ladder, Add add) {
  for (const RungInfo& rung : rungs()) {
    const auto i = static_cast<std::size_t>(rung.rung);
    if (ladder.time_us[i]) add(integer(i), std::string(rung.name), *ladder.time_us[i], ladder.limiter[i]);
  }
}

void add_kernel(std::vector<Row>& rows, const std::string& id, std::int64_t index, const KernelResult& k) {
  rows.push_back({"kernels",
                  {id, index, k.name, k.limiter, k.time_us, k.launch_us, k.items, k.ctas, std::int64_t{k.ctas_per_sm}, k.l2_hit_rate,
                   k.spread, std::int64_t{k.extrapolated}}});
  each_rung(k.ladder, [&](std::int64_t position, const std::string& rung, double us, const std::string& limiter) {
    rows.push_back({"kernel_rungs", {id, index, position, rung, us, limiter}});
  });
  for (const ResourceUse& use : k.resources) {
    const std::string resource(name_of(use.resource));
    rows.push_back({"kernel_resources", {id, index, resource, std::string("busy"), use.busy_fraction}});
    for (const auto& [reason, fraction] : use.idle_fraction) {
      rows.push_back({"kernel_resources", {id, index, resource, "idle: " + reason, fraction}});
    }
  }
  for (const CounterInfo& counter : counters()) {
    const double value = counter.get(k);
    if (std::isfinite(value)) rows.push_back({"kernel_counts", {id, index, std::string(counter.name), value}});
  }
  for (const auto& [name, member] : kCounts) rows.push_back({"kernel_counts", {id, index, std::string(name), k.counts.*member}});
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return out;
}

struct Renderer {
  std::string operator()(std::monostate) const { return "\\N"; }
  std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
  std::string operator()(double v) const { return fmt::format("{}", v == 0 ? 0.0 : v); }  // -0 is 0
  std::string operator()(const std::string& v) const { return escaped(v); }
};

}  // namespace

std::vector<Row> rows_of(const Result& r) {
  const std::string id = identity(r);
  std::vector<Row> parts;
  each_rung(r.ladder, [&](std::int64_t position, const std::string& rung, double us, const std::string& limiter) {
    parts.push_back({"rungs", {id, position, rung, us, limiter}});
  });
  for (const MetricInfo& metric : metrics()) {
    const double value = metric.get(r);
    if (std::isfinite(value)) parts.push_back({"metrics", {id, std::string(metric.name), std::string(metric.unit), value}});
  }
  for (std::size_t i = 0; i < r.kernels.size(); ++i) add_kernel(parts, id, integer(i), r.kernels[i]);
  for (const auto& [name, us] : r.harness_us) parts.push_back({"harness_parts", {id, name, us}});
  const ChipPeaks& p = r.peaks;
  parts.push_back({"chip_peaks",
                   {id, p.dtype, p.clock_mhz, p.tensor_tflop_per_s, p.fp32_tflop_per_s, p.sfu_tera_op_per_s, p.hbm_gb_per_s, p.l2_gb_per_s,
                    p.smem_gb_per_s, p.l2_effective_mib}});

  Row head{"results",
           {id, r.model_hash, std::string(), r.variant, r.schedule, r.chip, r.engine, r.standing, r.bottleneck, r.clock_mhz, r.energy_j,
            r.average_power_w, r.resolved_config}};
  std::string content = render(head.values);
  for (const Row& part : parts) content += std::string(part.table) + "\t" + render(part.values) + "\n";
  head.values[2] = content_hash(content);
  parts.insert(parts.begin(), std::move(head));
  return parts;
}

std::vector<Row> rows_of(const StoredComparison& c) {
  std::vector<Row> rows;
  for (const RungInfo& rung : rungs()) {
    const auto i = static_cast<std::size_t>(rung.rung);
    if (!c.values.promise[i] && !c.values.bound[i]) continue;
    rows.push_back({"comparisons",
                    {c.result, c.baseline, integer(i), std::string(rung.name), or_null(c.values.promise[i]), or_null(c.values.bound[i]),
                     std::int64_t{c.values.baseline_measured}}});
  }
  return rows;
}

Row row_of(const Sweep& s) {
  return {"sweeps", {s.identity, s.name, s.resolved_config}};
}

Row row_of(const SweepPoint& p) {
  return {"sweep_points", {p.sweep, p.coordinates, p.workload, p.result ? Value(identity(*p.result)) : Value(), or_null(p.failure)}};
}

Row row_of(const ValidationRow& v) {
  return {"validation_rows",
          {v.file, v.row_key, v.device, v.kernel, v.phase, v.measured_us, or_null(v.predicted_us), or_null(v.unmapped_reason)}};
}

std::string render(const std::vector<Value>& values) {
  std::string line;
  for (const Value& value : values) {
    if (&value != values.data()) line += '\t';
    line += std::visit(Renderer{}, value);
  }
  return line;
}

}  // namespace attnsim::store

namespace attnsim {

std::string identity(const Result& r) {
  return content_hash(r.resolved_config + "\n" + r.model_hash);
}

}  // namespace attnsim
