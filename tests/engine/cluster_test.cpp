// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "hwmodels/chip_loader.h"
#include "sim/core/error.h"
#include "sim/engine/engine.h"
#include "workloads/catalog.h"
#include "workloads/families/gemm.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

Schedule clustered(int cluster_m, int cluster_n) {
  Schedule schedule = load_schedule("gemm-sm90");
  GemmTile tile = schedule.gemm.tiles.front();
  tile.cluster_m = cluster_m;
  tile.cluster_n = cluster_n;
  schedule.gemm.tiles = {tile};
  schedule.gemm.splits = {1};
  return schedule;
}

ir::Pipeline product(const Schedule& schedule, const Chip& chip) {
  Problem p;
  p.m = 1024;
  p.n = 2048;
  p.k = 512;
  return lower(variant("gemm"), p, schedule, chip);
}

Simulation play(const ir::Pipeline& pipeline, const Chip& chip, std::set<std::string> without = {}, EngineListener* listener = nullptr) {
  Conditions conditions;
  conditions.without = std::move(without);
  return simulate(pipeline, chip, conditions, {.kind = EngineKind::detailed, .listener = listener});
}

class Placement : public EngineListener {
 public:
  void on_cta(const CtaEvent& event) override {
    if (event.kind == CtaEvent::Kind::launch) sm_of[event.cta] = event.sm;
  }
  std::map<std::int64_t, int> sm_of;
};

}  // namespace

TEST_CASE("multicast reads the shared operand once per cluster from L2 and changes nothing else") {
  const Chip chip = load_chip("h100-sxm");
  // 8 x 8 tiles of 128 x 256, k = 512: each CTA takes 128 x 512 of A and 256 x 512 of B, and stores 128 x 256.
  const double a = 64.0 * 128 * 512 * 2;
  const double b = 64.0 * 256 * 512 * 2;
  const double c = 64.0 * 128 * 256 * 2;
  const auto l2_bytes = [&](const Schedule& schedule, std::set<std::string> without) {
    return play(product(schedule, chip), chip, std::move(without)).kernels.front().counts.l2_bytes;
  };
  CHECK(l2_bytes(clustered(1, 1), {}) == Approx(a + b + c));
  CHECK(l2_bytes(clustered(2, 1), {}) == Approx(a + b / 2 + c));
  CHECK(l2_bytes(clustered(4, 1), {}) == Approx(a + b / 4 + c));
  CHECK(l2_bytes(clustered(1, 2), {}) == Approx(a / 2 + b + c));
  CHECK(l2_bytes(clustered(2, 1), {"multicast"}) == Approx(a + b + c));
}

TEST_CASE("the CTAs of a cluster stand on neighbouring SMs of one GPC") {
  const Chip chip = load_chip("h100-sxm");
  for (const int cluster : {2, 4}) {
    Placement placement;
    (void)play(product(clustered(cluster, 1), chip), chip, {}, &placement);
    REQUIRE(placement.sm_of.size() == 64);
    // 66 pairs of SMs over 8 GPCs: the i-th GPC ends at pair 66 (i + 1) / 8.
    const auto gpc_of = [](int sm) {
      int gpc = 0;
      while (sm / 2 >= 66 * (gpc + 1) / 8) ++gpc;
      return gpc;
    };
    for (std::int64_t cta = 0; cta < 64; cta += cluster) {
      std::set<int> sms;
      std::set<int> gpcs;
      for (std::int64_t i = cta; i < cta + cluster; ++i) {
        sms.insert(placement.sm_of.at(i));
        gpcs.insert(gpc_of(placement.sm_of.at(i)));
      }
      CHECK(sms.size() == static_cast<std::size_t>(cluster));
      CHECK(gpcs.size() == 1);
    }
  }
}

TEST_CASE("a cluster that no GPC holds is an error") {
  Chip chip = load_chip("h100-sxm");
  chip.sm.count = 16;  // 8 GPCs of 2 SMs
  CHECK_THROWS_AS(play(product(clustered(4, 1), chip), chip), SimError);
}
