// SPDX-License-Identifier: Apache-2.0
#include "validation/groups.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace attnsim {

namespace {

constexpr std::array<SizeBand, 3> kBands{SizeBand::all, SizeBand::gt_50us, SizeBand::le_50us};
constexpr double kBandLimitUs = 50.0;

bool in_band(SizeBand band, double measured_us) {
  return band == SizeBand::all || (measured_us > kBandLimitUs) == (band == SizeBand::gt_50us);
}

using ShapeKey = std::tuple<std::string, std::string, std::string, std::string, std::string, std::array<std::int64_t, 10>>;
ShapeKey shape_key(const MeasuredRow& row) {
  return {row.file, row.device,
          row.set,  row.dtype,
          row.pass, {row.batch, row.q_heads, row.kv_heads, row.q_len, row.kv_len, row.head_dim_qk, row.head_dim_v, row.m, row.n, row.k}};
}

// A pair with an unmapped side counts 100 %, as in `mape`.
double speedup_error(const RowOutcome& row, const RowOutcome& baseline) {
  if (!row.predicted_us || !baseline.predicted_us) return 100.0;
  return absolute_percentage_error(*baseline.predicted_us / *row.predicted_us, baseline.row.measured_us / row.row.measured_us);
}

Group summarise_group(std::span<const RowOutcome> outcomes, std::span<const std::optional<std::size_t>> baselines,
                      const std::vector<std::size_t>& members, SizeBand band) {
  Group group;
  group.band = band;
  std::vector<Timing> timings;
  std::vector<double> speedups, roofline, fitted;
  std::set<std::string> schedules;
  for (const std::size_t i : members) {
    const RowOutcome& outcome = outcomes[i];
    const double measured = outcome.row.measured_us;
    if (!in_band(band, measured)) continue;
    timings.push_back({measured, outcome.predicted_us});
    if (!outcome.schedule.empty()) schedules.insert(outcome.schedule);
    if (baselines[i]) speedups.push_back(speedup_error(outcome, outcomes[*baselines[i]]));
    if (outcome.roofline) roofline.push_back(absolute_percentage_error(spec_roofline_us(*outcome.roofline), measured));
    if (outcome.fitted_roofline_us) fitted.push_back(absolute_percentage_error(*outcome.fitted_roofline_us, measured));
  }
  group.errors = summarise(timings);
  group.speedup_mape = mean(speedups);
  group.roofline_mape = mean(roofline);
  group.fitted_roofline_mape = mean(fitted);
  group.schedules.assign(schedules.begin(), schedules.end());
  return group;
}

// Members of each group in order of first appearance.
class Partition {
 public:
  using Key = std::array<std::string, 4>;
  void add(const Key& key, std::size_t member) {
    const auto [slot, fresh] = index_.try_emplace(key, groups_.size());
    if (fresh) groups_.emplace_back(key, std::vector<std::size_t>{});
    groups_[slot->second].second.push_back(member);
  }
  [[nodiscard]] const std::vector<std::pair<Key, std::vector<std::size_t>>>& groups() const { return groups_; }

 private:
  std::map<Key, std::size_t> index_;
  std::vector<std::pair<Key, std::vector<std::size_t>>> groups_;
};

}  // namespace

std::string_view name_of(SizeBand band) {
  constexpr std::array<std::string_view, 3> kNames{"all", "gt_50us", "le_50us"};
  return kNames.at(static_cast<std::size_t>(band));
}

std::vector<std::optional<std::size_t>> speedup_baselines(std::span<const RowOutcome> outcomes) {
  std::map<ShapeKey, std::vector<std::size_t>> same_shape;
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    if (outcomes[i].row.density && outcomes[i].row.batch > 0) same_shape[shape_key(outcomes[i].row)].push_back(i);
  std::vector<std::optional<std::size_t>> baselines(outcomes.size());
  for (const auto& [key, members] : same_shape) {
    double densest = 0;
    for (const std::size_t i : members) densest = std::max(densest, *outcomes[i].row.density);
    for (const std::size_t i : members) {
      if (*outcomes[i].row.density >= densest) continue;
      const auto rank = [&](std::size_t candidate) {
        const MeasuredRow& row = outcomes[candidate].row;
        return std::tuple(row.kernel != outcomes[i].row.kernel, row.measured_us, candidate);
      };
      for (const std::size_t candidate : members)
        if (*outcomes[candidate].row.density >= densest && (!baselines[i] || rank(candidate) < rank(*baselines[i])))
          baselines[i] = candidate;
    }
  }
  return baselines;
}

std::vector<Group> group_outcomes(std::span<const RowOutcome> outcomes) {
  const std::vector<std::optional<std::size_t>> baselines = speedup_baselines(outcomes);
  Partition devices, kernels;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const MeasuredRow& row = outcomes[i].row;
    devices.add({row.file, row.device, "all", "all"}, i);
    kernels.add({row.file, row.device, row.kernel, row.phase}, i);
  }
  std::vector<Group> groups;
  const auto emit = [&](const Partition::Key& key, const std::vector<std::size_t>& members) {
    for (const SizeBand band : kBands) {
      Group group = summarise_group(outcomes, baselines, members, band);
      std::tie(group.file, group.device, group.kernel, group.phase) = std::tie(key[0], key[1], key[2], key[3]);
      group.chip = outcomes[members.front()].chip;
      groups.push_back(std::move(group));
    }
  };
  for (const auto& [device_key, device_members] : devices.groups()) {
    emit(device_key, device_members);
    for (const auto& [key, members] : kernels.groups())
      if (key[0] == device_key[0] && key[1] == device_key[1]) emit(key, members);
  }
  return groups;
}

}  // namespace attnsim
