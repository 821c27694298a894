// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/microbenchmarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "hwmodels/figures.h"
#include "sim/core/json_text.h"
#include "validation/csv.h"
#include "validation/statistics.h"
#include "workloads/kernel_map.h"

namespace attnsim {

namespace {

struct Row {
  std::string quantity, unit, conditions;
  double value = 0;
  bool used = false;
};

// The number before `unit` after `word` in the conditions: ("data set 1536 kB", "data set", ...) -> 1536.
std::optional<double> number_after(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = text.find_first_of("0123456789", at + word.size());
  if (begin == std::string::npos) return std::nullopt;
  try {
    return std::stod(text.substr(begin));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

class Evidence {
 public:
  Evidence(std::vector<Row>& rows, const Chip& chip) : rows_(rows), chip_(chip) {}
  [[nodiscard]] const Chip& chip() const { return chip_; }

  // Rows of one quantity; they count as used.
  std::vector<const Row*> rows(std::string_view quantity, std::string_view in_conditions = "") {
    std::vector<const Row*> found;
    for (Row& row : rows_) {
      if (row.quantity != quantity || row.conditions.find(in_conditions) == std::string::npos) continue;
      row.used = true;
      found.push_back(&row);
    }
    return found;
  }
  std::vector<double> values(std::string_view quantity, std::string_view in_conditions = "") {
    std::vector<double> values;
    for (const Row* row : rows(quantity, in_conditions)) values.push_back(row->value);
    return values;
  }

 private:
  std::vector<Row>& rows_;
  const Chip& chip_;
};

struct Says {
  double value = 0;
  std::size_t rows = 0;
};
using Opinion = std::optional<Says>;

Opinion median_of(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return Says{*quantile(values, 0.5), values.size()};
}

Opinion largest_of(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return Says{*std::max_element(values.begin(), values.end()), values.size()};
}

Opinion scaled(Opinion opinion, double factor) {
  if (opinion) opinion->value *= factor;
  return opinion;
}

Opinion hbm_efficiency(Evidence& e) {
  std::vector<double> best;
  for (const char* quantity : {"stream_read_bandwidth_max", "coalesced read", "TMA 2D HBM bandwidth", "LDGSTS (cp.async) HBM bandwidth"})
    for (const double value : e.values(quantity)) best.push_back(value);
  return scaled(largest_of(best), 1 / e.chip().hbm.bandwidth_gb_per_s);
}

// A copy moves one byte in and one out in (1 + w) / 2 of a read's time per byte.
Opinion hbm_write_cost(Evidence& e) {
  const Opinion read = largest_of(e.values("stream_read_bandwidth_max"));
  const Opinion copy = largest_of(e.values("stream_scale_bandwidth_max"));
  if (!read || !copy) return std::nullopt;
  return Says{std::max(1.0, 2 * read->value / copy->value - 1), 2};
}

Opinion l2_latency(Evidence& e) {
  return median_of(e.values("L2_latency"));
}

// By source: (miss - hit) in cycles of the clock that the row states, else of the highest.
Opinion hbm_latency(Evidence& e) {
  const Opinion hit = l2_latency(e);
  const std::vector<const Row*> misses = e.rows("DRAM_latency");
  if (!hit || misses.empty()) return std::nullopt;
  std::vector<double> ns;
  for (const Row* miss : misses)
    ns.push_back((miss->value - hit->value) * 1e3 / number_after(miss->conditions, "clock").value_or(e.chip().clock.boost_mhz));
  return Says{*quantile(ns, 0.5), misses.size() + hit->rows};
}

// The curve's plateau: its largest value over sets that fit no L1 and half of L2 at most.
Opinion l2_bandwidth(Evidence& e) {
  const Opinion direct = largest_of(e.values("L2_load_throughput_FP32.v4"));
  if (direct) return direct;
  std::vector<double> plateau;
  for (const Row* row : e.rows("L2_read_bandwidth")) {
    const std::optional<double> kb = number_after(row->conditions, "data set");
    if (kb && *kb < e.chip().l2.capacity_mib * 1024 / 2) plateau.push_back(row->value);
  }
  return scaled(median_of(plateau), 1e3 / e.chip().clock.boost_mhz);
}

// The set at which the curve has fallen a tenth of the way from its best to device memory, between neighbouring points by the logarithm.
Opinion l2_fraction(Evidence& e) {
  std::vector<std::pair<double, double>> curve;  // kB, GB/s
  for (const Row* row : e.rows("L2_read_bandwidth"))
    if (const std::optional<double> kb = number_after(row->conditions, "data set")) curve.emplace_back(*kb, row->value);
  if (curve.size() < 4) return std::nullopt;
  std::sort(curve.begin(), curve.end());
  const auto best = std::max_element(curve.begin(), curve.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const double level = best->second - 0.1 * (best->second - curve.back().second);
  for (auto point = best + 1; point < curve.end(); ++point) {
    if (point->second > level) continue;
    const auto before = point - 1;
    const double part = (before->second - level) / (before->second - point->second);
    const double kb = std::exp(std::log(before->first) + part * std::log(point->first / before->first));
    return Says{std::min(1.0, kb / (e.chip().l2.capacity_mib * 1024)), curve.size()};
  }
  return std::nullopt;
}

Opinion sfu(Evidence& e) {
  return median_of(e.values("MUFU.EX2 throughput"));
}

Opinion smem_latency(Evidence& e) {
  return median_of(e.values("shared_memory_latency"));
}

// L1 and shared memory are one array with one port.
Opinion smem_efficiency(Evidence& e) {
  return scaled(largest_of(e.values("L1_load_throughput_FP32.v4")), 1 / e.chip().sm.smem_bytes_per_clk);
}

Opinion mma_sync_latency(Evidence& e) {
  return median_of(e.values("mma.m16n8k16.f16 dense completion latency"));
}

// An m64n256k16 takes 2 x 64 x 256 x 16 FLOPs at the peak rate; what is left is start and completion.
Opinion wgmma_latency(Evidence& e) {
  const double rate = e.chip().tensor_flop_per_clk("f16");
  const Opinion whole = median_of(e.values("wgmma.m64n256k16.f16 latency (SS)"));
  if (!whole || rate <= 0) return std::nullopt;
  return Says{std::max(0.0, whole->value - 2.0 * 64 * 256 * 16 / rate), whole->rows};
}

Opinion tensor_efficiency(Evidence& e) {
  const auto& names = e.chip().tensor.instructions;
  const bool wgmma = std::find(names.begin(), names.end(), "wgmma") != names.end();
  const Opinion best = largest_of(e.values(wgmma ? "wgmma.m64n256k16.f16 throughput SS" : "mma.m16n8k16.f16 dense throughput"));
  return e.chip().peak_tflops("f16") > 0 ? scaled(best, 1 / e.chip().peak_tflops("f16")) : std::nullopt;
}

Opinion gemm_peak(Evidence& e) {
  const double peak = e.chip().peak_tflops("bf16");
  return peak > 0 ? scaled(largest_of(e.values("max achieved matmul TFLOPS (bf16)")), 1 / peak) : std::nullopt;
}

// Issue interval of the largest one-CTA instruction, whose shape the conditions state: "BF16 SS CTAgroup=1 M=128 N=256 K=16; ...".
Opinion umma_rate(Evidence& e) {
  std::vector<double> rates;
  for (const Row* row : e.rows("UMMA cycles per instruction (issue interval)", "BF16 SS CTAgroup=1")) {
    const auto m = number_after(row->conditions, "M="), n = number_after(row->conditions, "N="), k = number_after(row->conditions, "K=");
    if (m && n && k && row->value > 0) rates.push_back(2 * *m * *n * *k / row->value);
  }
  return largest_of(rates);
}

Opinion bf16_rate(Evidence& e) {
  return median_of(e.values("MMA FLOPs per clock per SM (bf16 dense)"));
}

Opinion copy_engine(Evidence& e) {
  return median_of(e.values("TMA extra latency vs regular load"));
}

Opinion fp32_lanes(Evidence& e) {
  const double per_lane_tflops = 2e-6 * e.chip().sm.count * e.chip().clock.boost_mhz;
  return scaled(largest_of(e.values("FP32 compute (CUDA-core/vector)")), 1 / per_lane_tflops);
}

struct Rule {
  std::string_view path;
  Opinion (*says)(Evidence&);
  bool sets;
  std::string_view how;
};

constexpr std::array<Rule, 18> kRules{{
    {"hbm.efficiency", hbm_efficiency, true, "best streaming read over the peak"},
    {"hbm.write_cost", hbm_write_cost, true, "2 x read / copy - 1"},
    {"latency.l2_cycles", l2_latency, false, "pointer chase of an idle chip; the figure is for a busy one"},
    {"latency.hbm_ns", hbm_latency, true, "pointer chase: device memory less L2"},
    {"latency.smem_cycles", smem_latency, true, "pointer chase; ldmatrix takes about as long"},
    {"latency.mma_sync_cycles", mma_sync_latency, true, "completion of m16n8k16"},
    {"latency.wgmma_cycles", wgmma_latency, false, "m64n256k16 less its time at the peak rate; a chain hides its start"},
    {"latency.copy_engine_cycles", copy_engine, true, "TMA load less a plain load"},
    {"sm.sfu_lanes", sfu, true, "ex2 per clock and SM"},
    {"sm.fp32_lanes", fp32_lanes, false, "FP32 rate at the highest clock; the clock of the run is not stated"},
    {"sm.smem_efficiency", smem_efficiency, false, "128-bit loads of L1, conflict-free; ldmatrix and copies do worse"},
    {"l2.bandwidth_bytes_per_clk", l2_bandwidth, true, "128-bit loads, or the curve's plateau at the highest clock"},
    {"l2.effective_fraction", l2_fraction, true, "where the read curve has fallen a tenth of the way to device memory"},
    {"tensor.efficiency", tensor_efficiency, false,
     "best instruction rate over the peak at the highest clock; the clock may have been lower"},
    {"tensor.efficiency", gemm_peak, false, "best GEMM over the peak; bound by power"},
    {"tensor.flop_per_clk_per_sm.bf16", bf16_rate, true, "as stated"},
    {"tensor.flop_per_clk_per_sm.bf16", umma_rate, true, "issue interval of one-CTA instructions"},
    {"latency.atomic_cycles", [](Evidence& e) { return median_of(e.values("atomic_latency")); }, true, "round trip"},
}};

const Figure* figure_at(std::string_view path) {
  for (const Figure& figure : figure_table())
    if (figure.path == path) return &figure;
  return nullptr;
}

}  // namespace

MicrobenchmarkTable compare_microbenchmarks(const std::filesystem::path& file, const Chip& chip, const std::string& device) {
  const CsvTable csv = read_csv(file);
  constexpr std::array<std::string_view, 5> kColumns{"device", "quantity", "value", "unit", "conditions"};
  require_columns(csv, kColumns);
  const KernelMaps maps = KernelMaps::load();
  CsvReader reader(csv);
  MicrobenchmarkTable table;
  table.file = csv.file;
  table.chip = chip.name;
  std::set<std::string> taken, all;
  std::vector<Row> rows;
  for (const CsvRecord& record : csv.records) {
    reader.select(record);
    const std::string& name = reader.text("device");
    all.insert(name);
    if (device.empty() ? maps.chip_of(name) != chip.name : name != device) {
      ++table.other_rows;
      continue;
    }
    taken.insert(name);
    const bool number = reader.text("unit") != "text";
    rows.push_back({reader.text("quantity"), reader.text("unit"), reader.text("conditions"), number ? reader.non_negative("value") : 0.0});
  }
  reader.finish();
  if (!device.empty() && taken.empty()) {
    const std::vector<std::string> names(all.begin(), all.end());
    throw ConfigError(
        {csv.file, "--device", '"' + device + '"', "has no rows there", json_text::joined(names), nearest_name(device, names)});
  }
  table.devices.assign(taken.begin(), taken.end());
  Evidence evidence(rows, chip);
  for (const Rule& rule : kRules) {
    const Opinion says = rule.says(evidence);
    if (!says) continue;
    const std::string path(rule.path);
    const auto provenance = chip.provenance.find(path);
    const Figure* figure = figure_at(path);
    require(figure != nullptr, "a rule names a figure");
    table.figures.push_back({path, says->value, static_cast<int>(says->rows), figure->get(chip),
                             std::string(provenance == chip.provenance.end() ? "absent" : name_of(provenance->second.status)),
                             std::string(rule.how), rule.sets});
  }
  table.unused_rows = static_cast<int>(std::count_if(rows.begin(), rows.end(), [](const Row& row) { return !row.used; }));
  return table;
}

std::map<std::string, double> settable_figures(const MicrobenchmarkTable& table, const std::vector<std::string>& names) {
  std::map<std::string, double> values;
  std::vector<std::string> settable;
  for (const MicrobenchmarkFigure& figure : table.figures)
    if (figure.sets) settable.push_back(figure.path);
  std::vector<ConfigIssue> issues;
  for (const std::string& name : names) {
    const auto found = std::find_if(table.figures.begin(), table.figures.end(),
                                    [&](const MicrobenchmarkFigure& figure) { return figure.path == name && figure.sets; });
    if (found == table.figures.end())
      issues.push_back({table.file, "--hold", '"' + name + '"', "is no figure that these microbenchmarks fix", json_text::joined(settable),
                        nearest_name(name, settable)});
    else
      values[name] = found->value;
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return values;
}

}  // namespace attnsim
