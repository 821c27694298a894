// SPDX-License-Identifier: Apache-2.0
// How long masks take to lower: every masked variant at a million tokens, and mask expressions at 128K, with FA2's tiles.
//
//   attnsim_bench_masks
//   variant              tokens   lowered     items   KV tiles visited
//   attention-sinks     1048576    41.2 ms     8192   ...
//
// CPU time of the lowering alone: masks, row tiles, programs, pipeline.
#include <fmt/format.h>

#include <ctime>

#include "hwmodels/chip_loader.h"
#include "sim/core/error.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

namespace {

using namespace attnsim;

double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

void lower_once(const std::string& label, const Variant& v, std::int64_t tokens, std::int64_t heads, const Params& params,
                Pass pass = Pass::forward) {
  Problem p;
  p.pass = pass;
  p.q_heads = p.kv_heads = heads;
  p.q_len = p.kv_len = {tokens};
  for (const ParamSpec& spec : v.params) p.params[std::string(spec.name)] = spec.default_value;
  for (const auto& [name, value] : params) p.params[name] = value;
  const Chip chip = load_chip("a100-sxm-80gb");
  const Schedule schedule = load_schedule(pass == Pass::forward ? "fa2-sm80" : "fa2-bwd-sm80");
  const double before = cpu_ms();
  try {
    const ir::Pipeline pipeline = lower(v, p, schedule, chip);
    const double spent = cpu_ms() - before;
    std::int64_t items = 0;
    std::int64_t trips = 0;
    for (const ir::Node& node : pipeline.nodes()) {
      const auto* kernel = std::get_if<ir::Kernel>(&node.work);
      if (kernel == nullptr) continue;
      for (const ir::ItemFamily& family : kernel->families) {
        items += family.slab_count * static_cast<std::int64_t>(family.tiles.size());
        for (const ir::RowTile& tile : family.tiles) trips += family.slab_count * tile.trips();
      }
    }
    fmt::print("{:<60} {:>8} {:>9.1f} ms {:>9} {:>12}\n", label, tokens, spent, items, trips);
  } catch (const ConfigError& error) {
    fmt::print("{:<60} {:>8} refused: {}\n", label, tokens, error.what());
  }
}

}  // namespace

int main() {
  constexpr std::int64_t kMillion = std::int64_t{1} << 20;
  constexpr std::int64_t kLong = std::int64_t{1} << 17;
  fmt::print("{:<60} {:>8} {:>12} {:>9} {:>12}\n", "variant", "tokens", "lowered", "items", "KV tiles");
  for (const Variant& v : variants()) {
    if (v.family != "tile-list" || v.reshape != nullptr) continue;
    const bool by_head = v.name == "s2-attention" || v.name == "moa";
    const Params params = v.name == "block-sparse" ? Params{{"density", 0.01}} : Params{};
    lower_once(std::string(v.name), v, kMillion, by_head ? 16 : 1, params);
  }
  for (const char* mask : {"k <= q && q - k < 4096 || k < 64", "k <= q && (q - k) % 7 == 0", "k <= q && doc(q) == doc(k)",
                           "abs(q.x - k.x) <= 4 && abs(q.y - k.y) <= 8 && abs(q.z - k.z) <= 8", "k <= q && pow2(q / 100 - k / 100)",
                           "k <= q && (q * 3 + k * 5) % 11 < 4 || abs(q - k) % 1000 < 10"}) {
    lower_once(mask, variant("masked"), kLong, 1,
               {{"mask", std::string(mask)}, {"documents", std::string("5000 each")}, {"layout", std::string("32x64x64")}});
  }
  for (const char* name : {"attention-sinks", "document", "s2-attention", "block-sparse"})
    lower_once(std::string(name) + ", backward", variant(name), kLong, 1,
               name == std::string("block-sparse") ? Params{{"density", 0.01}} : Params{}, Pass::backward);
}
