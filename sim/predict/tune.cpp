// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/tune.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "sim/bounds/bounds.h"
#include "sim/core/json_reader.h"
#include "sim/core/parallel.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"
#include "workloads/masks/gna.h"
#include "workloads/tile_shapes.h"

namespace attnsim {

namespace {

constexpr std::size_t kWave = 8;  // candidates simulated before the next are judged; not a number of threads, so that these change nothing

std::vector<std::int64_t> axis_strides(std::int64_t window) {
  std::set<std::int64_t> strides{1, window};
  for (std::int64_t s = 1; s <= window; ++s)
    if ((s & (s - 1)) == 0) strides.insert(s);
  return {strides.begin(), strides.end()};
}

// Smallest first, by volume, then by axes.
std::vector<Extents> strides_of(const TuneConfig& config, const Extents& window) {
  std::vector<Extents> strides = config.strides;
  if (strides.empty()) {
    strides.push_back({});
    for (const std::int64_t w : window) {
      std::vector<Extents> longer;
      for (const Extents& stride : strides) {
        for (const std::int64_t s : axis_strides(w)) {
          longer.push_back(stride);
          longer.back().push_back(s);
        }
      }
      strides = std::move(longer);
    }
  }
  std::stable_sort(strides.begin(), strides.end(), [](const Extents& a, const Extents& b) { return volume(a) < volume(b); });
  return strides;
}

GnaShape shape_of(const TuneConfig& config, const Extents& window, const Extents& stride) {
  GnaShape shape;
  for (std::size_t a = 0; a < window.size(); ++a)
    shape.axes.push_back({config.layout[a], window[a], stride[a], config.dilation[a], config.causal[a] == 1});
  return shape;
}

// KV tiles that each query tile visits, axis by axis and class by class, and whether scores are tested.
std::vector<std::int64_t> work_of(const GnaShape& shape, const GnaTileMask& mask) {
  std::vector<std::int64_t> work{mask.natten_fully_block_sparse() ? 0 : 1};
  for (std::int64_t c = 0; c < shape.classes(); ++c) {
    const std::vector<AxisClass> axes = shape.class_axes(c);
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const std::int64_t tile = mask.q_order().tile()[a];
      for (std::int64_t q = 0; q < axes[a].tokens; q += tile) {
        const bool own = mask.kv_order().has_groups();  // where they begin does not matter then
        const Range visited = (own ? tiles_from_first_key : axis_tiles)(axes[a], {q, q + tile}, mask.kv_order().tile()[a]).visited;
        work.push_back(visited.begin);
        work.push_back(visited.end);
      }
    }
  }
  return work;
}

TuneCandidate candidate(const TuneConfig& config, const std::string& schedule, const TilePair& tiles, const GnaShape& shape,
                        const GnaTileMask& mask, KvTiling tiling) {
  TuneCandidate c;
  c.schedule = schedule;
  c.q_tile = tiles.q;
  c.kv_tile = tiles.kv;
  double density = 1;
  for (const GnaAxis& axis : shape.axes) {
    c.window.push_back(axis.window);
    c.stride.push_back(axis.stride);
  }
  const double tokens = static_cast<double>(config.problem.q_len.front());
  density =
      static_cast<double>(GnaMask(shape).kept({0, config.problem.q_len.front()}, {0, config.problem.kv_len.front()})) / tokens / tokens;
  c.sparsity = 1 - density;
  const VisitCounts visits = visit_counts(shape, tiles.q, tiles.kv, tiling);
  c.visited_mean = visits.mean;
  c.visited_most = visits.most;
  c.kv_tiles = visits.kv_tiles;
  c.tile_sparsity = 1 - visits.mean / static_cast<double>(visits.kv_tiles);
  c.block_sparse = mask.natten_fully_block_sparse();
  return c;
}

// Every candidate that does other work than those before it.
std::vector<TuneCandidate> enumerate(const TuneConfig& config, std::int64_t& seen) {
  std::vector<TuneCandidate> candidates;
  for (const std::string& schedule : config.schedules) {
    const KvTiling tiling = load_schedule(schedule).gathers_boxes ? KvTiling::from_first_key : KvTiling::on_grid;
    for (const TilePair& tiles : tile_shapes(schedule, config.layout.size(), config.problem.head_dim_qk, config.chip.isa)) {
      for (const Extents& window : config.windows) {
        std::map<std::vector<std::int64_t>, std::size_t> known;
        for (const Extents& stride : strides_of(config, window)) {
          ++seen;
          const GnaShape shape = shape_of(config, window, stride);
          const GnaTileMask mask(shape, tiles.q, tiles.kv, tiling);
          const auto [slot, fresh] = known.try_emplace(work_of(shape, mask), candidates.size());
          if (fresh)
            candidates.push_back(candidate(config, schedule, tiles, shape, mask, tiling));
          else
            ++candidates[slot->second].equal_strides;
        }
      }
    }
  }
  return candidates;
}

Request request_of(const TuneConfig& config, const TuneCandidate& c) {
  Request request{.workload = "tune",
                  .variant = &variant("gna"),
                  .problem = config.problem,
                  .schedule = parse_schedule(with_boxes(c.schedule, {c.q_tile, c.kv_tile}, config.problem.head_dim_qk)),
                  .chip = config.chip,
                  .conditions = config.conditions};
  request.problem.params["window"] = text(c.window);
  request.problem.params["stride"] = text(c.stride);
  return request;
}

double simulated(const Request& request) {
  return predict(request).ladder.at(Rung::simulated).value_or(std::numeric_limits<double>::infinity());
}

bool dominates(const TuneCandidate& a, const TuneCandidate& b, double b_us) {
  const bool no_worse = a.time_us && *a.time_us <= b_us && a.sparsity >= b.sparsity && volume(a.stride) <= volume(b.stride);
  return no_worse && (*a.time_us < b_us || a.sparsity > b.sparsity || volume(a.stride) < volume(b.stride));
}

// In waves, the best bounds first.
void simulate_best(const TuneConfig& config, std::vector<TuneCandidate>& candidates, int threads, const std::function<void()>& step) {
  std::vector<double> times;
  for (std::size_t begin = 0; begin < candidates.size();) {
    std::vector<std::size_t> wave;
    for (; begin < candidates.size() && wave.size() < kWave; ++begin) {
      const TuneCandidate& c = candidates[begin];
      const bool beaten = times.size() >= config.top && c.bound_us > times[config.top - 1];
      const auto above = [&](const TuneCandidate& other) { return dominates(other, c, c.bound_us); };
      if (!beaten || std::none_of(candidates.begin(), candidates.end(), above)) wave.push_back(begin);
    }
    parallel_for(wave.size(), threads, [&](std::size_t i) {
      TuneCandidate& c = candidates[wave[i]];
      c.time_us = simulated(request_of(config, c));
      if (step) step();
    });
    for (const std::size_t i : wave) times.push_back(*candidates[i].time_us);
    std::sort(times.begin(), times.end());
  }
}

}  // namespace

Tuning tune(const TuneConfig& config, int threads, const std::function<void()>& step) {
  Tuning tuning;
  std::vector<TuneCandidate>& candidates = tuning.candidates;
  candidates = enumerate(config, tuning.strides_seen);
  if (candidates.empty())
    throw ConfigError({config.file, "/schedules", "", "have no tile shapes for this layout, head_dim and chip", "", ""});
  std::vector<std::string> refusals(candidates.size());
  parallel_for(candidates.size(), threads, [&](std::size_t i) {
    try {
      const Request request = request_of(config, candidates[i]);
      const ir::Pipeline pipeline = lower(*request.variant, request.problem, request.schedule, request.chip, {});
      candidates[i].bound_us = compute_bounds(pipeline, request.chip, request.conditions).ladder.at(Rung::schedule).value_or(0);
    } catch (const ConfigError& error) {
      refusals[i] = error.what();
    }
    if (step) step();
  });
  for (std::size_t i = candidates.size(); i-- > 0;) {
    if (refusals[i].empty()) continue;
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
    ++tuning.refused;
    tuning.refusal = refusals[i];
  }
  if (candidates.empty()) throw ConfigError({config.file, "/schedules", "", "have no legal tile shape: " + tuning.refusal, "", ""});
  const auto order = [](const TuneCandidate& c) { return std::tuple(c.bound_us, volume(c.stride), c.q_tile, c.kv_tile); };
  std::stable_sort(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
  simulate_best(config, candidates, threads, step);
  for (TuneCandidate& c : candidates)
    c.front = c.time_us && std::none_of(candidates.begin(), candidates.end(),
                                        [&](const TuneCandidate& other) { return dominates(other, c, *c.time_us); });
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const auto& a, const auto& b) { return a.time_us.value_or(kNever) < b.time_us.value_or(kNever); });

  Request dense{.workload = "dense",
                .variant = &variant("dense"),
                .problem = config.problem,
                .schedule = {},
                .chip = config.chip,
                .conditions = config.conditions};
  dense.problem.params.clear();
  for (const ParamSpec& spec : dense.variant->params) dense.problem.params[std::string(spec.name)] = spec.default_value;
  dense.schedule = default_schedule(*dense.variant, dense.problem, dense.chip);
  tuning.dense_schedule = dense.schedule.name;
  tuning.dense_us = simulated(dense);
  return tuning;
}

}  // namespace attnsim
