// SPDX-License-Identifier: Apache-2.0
#include "validation/ratios.h"

#include <fmt/format.h>

#include <cmath>

namespace attnsim {

namespace {

Ratio ratio_of(RatioKind kind, std::span<const RowOutcome> outcomes, std::size_t row, std::size_t reference) {
  const bool speedup = kind == RatioKind::speedup;
  const RowOutcome& over = outcomes[speedup ? reference : row];
  const RowOutcome& under = outcomes[speedup ? row : reference];
  Ratio r{kind, row, reference, over.row.measured_us / under.row.measured_us, std::nullopt};
  if (over.predicted_us && under.predicted_us) r.predicted = *over.predicted_us / *under.predicted_us;
  return r;
}

// Differ in the stride alone, and the first tests its scores where the second does not.
bool is_masking_pair(const MeasuredRow& masked, const MeasuredRow& free) {
  const auto same_param = [&](const char* name) {
    const auto a = masked.params.find(name), b = free.params.find(name);
    return a != masked.params.end() && b != free.params.end() && a->second == b->second;
  };
  return masked.masked.value_or(false) && !free.masked.value_or(true) && masked.file == free.file && masked.device == free.device &&
         masked.set == free.set && masked.kernel == free.kernel && masked.dtype == free.dtype && masked.q_heads == free.q_heads &&
         masked.head_dim_qk == free.head_dim_qk && masked.batch == free.batch && same_param("layout") && same_param("window");
}

std::string line(const Ratio& r, std::span<const RowOutcome> outcomes) {
  const MeasuredRow& row = outcomes[r.row].row;
  const MeasuredRow& reference = outcomes[r.reference].row;
  const std::string predicted = r.predicted ? fmt::format("{:.2f}", *r.predicted) : "-";
  return fmt::format("  {:<8} {:<18} {:<6} {:<26} {:<44} {:<34} {:>8.2f} {:>9} {:>+8.1f}\n",
                     r.kind == RatioKind::speedup ? "speedup" : "masking", row.set, row.device, row.kernel, row.mask_name,
                     r.kind == RatioKind::speedup ? reference.kernel : reference.mask_name, r.measured, predicted, r.error_percent());
}

}  // namespace

double Ratio::error_percent() const {
  return predicted ? 100.0 * (*predicted / measured - 1.0) : 100.0;
}

std::vector<Ratio> set_ratios(std::span<const RowOutcome> outcomes) {
  std::vector<Ratio> ratios;
  const std::vector<std::optional<std::size_t>> baselines = speedup_baselines(outcomes);
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    if (outcomes[i].row.masked && baselines[i]) ratios.push_back(ratio_of(RatioKind::speedup, outcomes, i, *baselines[i]));
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    for (std::size_t j = 0; j < outcomes.size(); ++j)
      if (is_masking_pair(outcomes[i].row, outcomes[j].row)) ratios.push_back(ratio_of(RatioKind::masking, outcomes, i, j));
  return ratios;
}

std::string ratios_text(std::span<const RowOutcome> outcomes) {
  const std::vector<Ratio> ratios = set_ratios(outcomes);
  if (ratios.empty()) return "";
  std::string text =
      fmt::format("\nWithin a set: speedups over the dense call, launches that test their scores over those that need not\n");
  text += fmt::format("  {:<8} {:<18} {:<6} {:<26} {:<44} {:<34} {:>8} {:>9} {:>8}\n", "ratio", "set", "device", "kernel", "mask",
                      "against", "measured", "predicted", "error_%");
  for (const Ratio& r : ratios) text += line(r, outcomes);
  for (const RatioKind kind : {RatioKind::speedup, RatioKind::masking}) {
    std::vector<double> errors;
    for (const Ratio& r : ratios)
      if (r.kind == kind) errors.push_back(std::abs(r.error_percent()));
    if (const std::optional<double> average = mean(errors))
      text += fmt::format("  {}: {} ratios, {:.1f} % on average\n", kind == RatioKind::speedup ? "speedup" : "masking", errors.size(),
                          *average);
  }
  return text;
}

}  // namespace attnsim
