// SPDX-License-Identifier: Apache-2.0
#include "validation/groups.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "validation/report.h"

using namespace attnsim;

namespace {

RowOutcome outcome(const std::string& kernel, const std::string& phase, double measured, std::optional<double> predicted,
                   double density = 1) {
  RowOutcome o;
  o.row.file = "f.csv";
  o.row.device = "dev";
  o.row.kernel = kernel;
  o.row.phase = phase;
  o.row.dtype = "bf16";
  o.row.batch = 1;
  o.row.measured_us = measured;
  o.row.density = density;
  o.predicted_us = predicted;
  if (!predicted) o.unmapped = "no schedule";
  return o;
}

const Group& find(const std::vector<Group>& groups, const std::string& kernel, const std::string& phase, SizeBand band) {
  for (const Group& group : groups)
    if (group.kernel == kernel && group.phase == phase && group.band == band) return group;
  FAIL("no group " << kernel << " " << phase);
  throw 0;
}

}  // namespace

TEST_CASE("groups carry the file's words, three bands by measured time, and one group over all") {
  const std::vector<RowOutcome> rows{outcome("k", "decode", 50.0, 55.0), outcome("k", "decode", 50.1, 50.1),
                                     outcome("l", "prefill", 10, std::nullopt)};
  const std::vector<Group> groups = group_outcomes(rows);
  REQUIRE(groups.size() == 9);  // (all, k, l) x 3 bands
  CHECK(find(groups, "k", "decode", SizeBand::all).errors.rows == 2);
  CHECK(*find(groups, "k", "decode", SizeBand::le_50us).errors.mape == Approx(10.0));
  CHECK(*find(groups, "k", "decode", SizeBand::gt_50us).errors.mape == Approx(0.0));
  CHECK(find(groups, "all", "all", SizeBand::all).errors.rows == 3);
  CHECK(find(groups, "all", "all", SizeBand::all).errors.unmapped == 1);
  CHECK(*find(groups, "all", "all", SizeBand::all).errors.mape == Approx((10.0 + 0.0 + 100.0) / 3));
  CHECK(find(groups, "l", "prefill", SizeBand::gt_50us).errors.rows == 0);
}

TEST_CASE("a speedup is taken against the densest mask of the same shape and set") {
  std::vector<RowOutcome> rows{outcome("k", "fwd", 100, 90.0, 1.0), outcome("k", "fwd", 50, 60.0, 0.5), outcome("k", "fwd", 25, 20.0, 0.2)};
  rows.push_back(outcome("k", "fwd", 30, 30.0, 0.5));
  rows.back().row.set = "other";
  rows.push_back(outcome("k", "fwd", 30, 30.0, 0.5));
  rows.back().row.q_len = 7;
  rows.push_back(outcome("k", "bwd", 30, 30.0, 0.5));
  rows.back().row.pass = "bwd";
  const auto baselines = speedup_baselines(rows);
  CHECK_FALSE(baselines[0]);
  CHECK(baselines[1] == 0);
  CHECK(baselines[2] == 0);
  CHECK_FALSE(baselines[3]);  // alone in its set
  CHECK_FALSE(baselines[4]);  // alone in its shape
  CHECK_FALSE(baselines[5]);  // alone in its pass
  // Measured speedups 2 and 4, predicted 1.5 and 4.5.
  const double expected = (100 * 0.5 / 2 + 100 * 0.5 / 4) / 2;
  CHECK(*find(group_outcomes(rows), "k", "fwd", SizeBand::all).speedup_mape == Approx(expected));
}

TEST_CASE("among equally dense rows the same kernel is the baseline, then the fastest") {
  const std::vector<RowOutcome> rows{outcome("k", "fwd", 100, 90.0, 1.0), outcome("other", "fwd", 40, 40.0, 1.0),
                                     outcome("k", "fwd", 50, 60.0, 0.5), outcome("third", "fwd", 50, 60.0, 0.5)};
  const auto baselines = speedup_baselines(rows);
  CHECK(baselines[2] == 0);
  CHECK(baselines[3] == 1);
  CHECK_FALSE(baselines[0]);
  CHECK_FALSE(baselines[1]);
}

TEST_CASE("a speedup with an unmapped side counts 100 per cent") {
  const std::vector<RowOutcome> rows{outcome("k", "fwd", 100, std::nullopt, 1.0), outcome("k", "fwd", 50, 60.0, 0.5)};
  CHECK(*find(group_outcomes(rows), "k", "fwd", SizeBand::all).speedup_mape == Approx(100.0));
}

TEST_CASE("the JSON report has exactly the promised keys, null where a figure is not defined") {
  const std::vector<RowOutcome> rows{outcome("k", "decode", 60, std::nullopt)};
  const std::vector<Group> groups = group_outcomes(rows);
  const auto json = nlohmann::json::parse(report_json(groups, rows, false));
  REQUIRE(json.size() == 1);
  const auto& first = json.at("groups").at(0);
  const std::vector<std::string> keys{
      "file",       "device",  "kernel",  "phase", "band",        "rows",         "unmapped",      "mape",
      "median_ape", "p90_ape", "max_ape", "bias",  "kendall_tau", "speedup_mape", "roofline_mape", "fitted_roofline_mape"};
  CHECK(first.size() == keys.size());
  for (const std::string& key : keys) CHECK(first.contains(key));
  CHECK(first.at("mape") == 100.0);
  CHECK(first.at("median_ape").is_null());
  CHECK(first.at("band") == "all");
  CHECK(nlohmann::json::parse(report_json(groups, rows, true)).at("rows").at(0).at("unmapped") == "no schedule");
}

TEST_CASE("fitted rooflines are taken per file, device and phase, and from the rows of the fit") {
  std::vector<RowOutcome> rows, fit;
  for (int i = 1; i <= 30; ++i) {
    for (const double slow : {2.0, 5.0}) {
      RowOutcome o = outcome("k", slow == 2.0 ? "prefill" : "decode", 0, std::nullopt);
      o.roofline = RooflinePoint{10.0 * i, 1.0 * i, slow * 10.0 * i};
      o.row.measured_us = o.roofline->measured_us;
      fit.push_back(o);
      rows.push_back(o);
    }
  }
  rows.push_back(outcome("k", "encoder", 10, std::nullopt));
  rows.back().roofline = RooflinePoint{1, 1, 10};
  apply_fitted_rooflines(rows, fit);
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) REQUIRE(*rows[i].fitted_roofline_us == Approx(rows[i].row.measured_us).epsilon(0.02));
  CHECK_FALSE(rows.back().fitted_roofline_us);  // no row of this phase in the fit
}
