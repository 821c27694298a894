// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/what_if.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sim/core/json_reader.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

namespace attnsim {

namespace {

// Loop trips times agents that a variation may play in detail: some ten milliseconds.
constexpr double kAffordableTrips = 4000;

std::string explanation(const std::string& parameter) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTexts{{
      {"tile_q", "a CTA takes another number of query rows"},
      {"tile_kv", "a loop trip takes another number of K and V rows"},
      {"stages", "another number of K and V buffers: copies run ahead further, or not at all with one"},
      {"consumers", "another number of computing agents in a CTA"},
      {"splits", "the K/V length is cut into another number of parts"},
      {"mask", "masks are applied to every tile, or only to those on the edge"},
      {"mask_first_trip", "the first trip pays for a mask that it does not need, or does not"},
      {"pack_gqa", "the query heads of a K/V head share a tile, or each has its own"},
      {"q_in_registers", "Q is read once into registers, or from SMEM for every trip"},
      {"ping_pong", "computing agents take turns at the matrix unit, or do not"},
      {"kv_descending", "K and V are visited from the other end"},
      {"grid", "items are given to CTAs in another way"},
  }};
  const auto found = std::find_if(kTexts.begin(), kTexts.end(), [&](const auto& t) { return t.first == parameter; });
  return found == kTexts.end() ? "another schedule" : std::string(found->second);
}

class Neighbours {
 public:
  explicit Neighbours(const Request& base) : base_(base) {}

  void set(const std::string& name, const std::string& change, const std::function<void(Schedule&)>& edit) {
    Variation v{name, change, explanation(name), base_};
    edit(v.request.schedule);
    out.push_back(std::move(v));
  }

  // The rules that may stand for this problem, so that whichever applies is changed.
  void tile(const std::string& name, int TileRule::*member, const std::function<int(int)>& next) {
    const int now = applied(member);
    const int then = next(now);
    if (then == now || then < 1) return;
    set(name, fmt::format("{} -> {}", now, then), [&](Schedule& s) {
      for (TileRule& rule : s.tiles) rule.*member = then;
    });
  }

  // Twice and half as many rows. Tiles that are boxes of a layout grow and shrink along the last axis that lets them.
  void rows(const std::string& name, int TileRule::*member, std::vector<std::vector<std::int64_t>> TileRule::*boxes) {
    const int now = applied(member);
    for (const bool grow : {true, false}) {
      if (!grow && now % 2 != 0) continue;
      const int then = grow ? 2 * now : now / 2;
      set(name, fmt::format("{} -> {}", now, then), [&](Schedule& s) {
        std::erase_if(s.tiles, [&](const TileRule& rule) { return !(rule.*boxes).empty() && rule.*member != now; });
        for (TileRule& rule : s.tiles) {
          rule.*member = then;
          for (std::vector<std::int64_t>& box : rule.*boxes) {
            const auto axis = grow ? box.rbegin() : std::find_if(box.rbegin(), box.rend(), [](std::int64_t n) { return n % 2 == 0; });
            if (axis != box.rend()) *axis = grow ? 2 * *axis : *axis / 2;
          }
        }
      });
    }
  }

  void toggle(const std::string& name, bool Schedule::*member) {
    const bool now = base_.schedule.*member;
    set(name, now ? "on -> off" : "off -> on", [&](Schedule& s) { s.*member = !now; });
  }

  std::vector<Variation> out;

 private:
  int applied(int TileRule::*member) const {
    for (const TileRule& rule : base_.schedule.tiles) {
      if (rule.head_dim_max >= base_.problem.head_dim_qk) return rule.*member;
    }
    return base_.schedule.tiles.empty() ? 0 : base_.schedule.tiles.front().*member;
  }

  const Request& base_;
};

}  // namespace

std::optional<double> what_if_us(const Request& request) {
  try {
    const ir::Pipeline pipeline =
        lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
    return simulate(pipeline, request.chip, request.conditions, {.kind = request.engine}).time_us + request.conditions.constant_us;
  } catch (const ConfigError&) {
  } catch (const SimError&) {
  } catch (const Invariant&) {  // nobody promises that a neighbour of a legal schedule makes a well-formed program
  }
  return std::nullopt;
}

Request affordable(Request request) {
  const ir::Pipeline pipeline = lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
  if (request.engine != EngineKind::fast)
    request.engine = loop_trips(pipeline) <= kAffordableTrips ? EngineKind::detailed : EngineKind::fast;
  return request;
}

std::vector<Variation> schedule_neighbours(const Request& base) {
  Neighbours n(base);
  n.rows("tile_q", &TileRule::tile_q, &TileRule::q_boxes);
  n.rows("tile_kv", &TileRule::tile_kv, &TileRule::kv_boxes);
  n.tile("stages", &TileRule::stages, [](int x) { return x + 1; });
  n.tile("stages", &TileRule::stages, [](int x) { return x - 1; });
  n.tile("consumers", &TileRule::consumers, [](int x) { return x + 1; });
  n.tile("consumers", &TileRule::consumers, [](int x) { return x - 1; });
  const Schedule& s = base.schedule;
  for (const int splits : {1, 2, 4, 8, 16}) {
    if (s.split == SplitPolicy::none || (s.split == SplitPolicy::fixed && s.fixed_splits == splits)) continue;
    n.set("splits", fmt::format("{} -> {}", s.split == SplitPolicy::fixed ? std::to_string(s.fixed_splits) : "heuristic", splits),
          [&](Schedule& x) {
            x.split = SplitPolicy::fixed;
            x.fixed_splits = splits;
          });
  }
  for (const auto& [policy, name] :
       {std::pair{MaskPolicy::partial_tiles, "partial tiles"}, std::pair{MaskPolicy::all_tiles, "all tiles"}}) {
    if (s.mask != policy) n.set("mask", std::string("-> ") + name, [&, p = policy](Schedule& x) { x.mask = p; });
  }
  if (s.mask_first_trip) n.toggle("mask_first_trip", &Schedule::mask_first_trip);
  if (base.problem.q_heads != base.problem.kv_heads) n.toggle("pack_gqa", &Schedule::pack_gqa);
  n.toggle("q_in_registers", &Schedule::q_in_registers);
  n.toggle("ping_pong", &Schedule::ping_pong);
  n.toggle("kv_descending", &Schedule::kv_descending);
  for (const auto& [policy, name] :
       {std::pair{ir::GridPolicy::one_item_per_cta, "one item per CTA"}, std::pair{ir::GridPolicy::persistent_static, "persistent, static"},
        std::pair{ir::GridPolicy::persistent_dynamic, "persistent, dynamic"}}) {
    if (s.grid == policy && s.grid_causal == policy) continue;
    n.set("grid", std::string("-> ") + name, [&, p = policy](Schedule& x) { x.grid = x.grid_causal = p; });
  }
  return n.out;
}

std::vector<Variation> other_schedules(const Request& base) {
  std::vector<Variation> out;
  for (const Schedule& schedule : legal_schedules(*base.variant, base.problem, base.chip)) {
    if (schedule.name == base.schedule.name) continue;
    Variation v{"schedule", "-> " + schedule.name, "another kernel ran", base};
    v.request.schedule = schedule;
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace attnsim
