// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/overlay.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "hwmodels/figures.h"
#include "sim/core/json_reader.h"

using namespace attnsim;

namespace {

Json fitted(double value) {
  return {{"value", value}, {"status", "fitted"}, {"source", "rows"}, {"uncertainty", "0.8 to 1"}};
}

JsonDocument overlay_with(const Json& figures) {
  return {"overlay.json", {{"chip", "toy-sm80"}, {"description", "test"}, {"fitted_on", "rows"}, {"figures", figures}}};
}

ConfigIssue issue_of(const JsonDocument& overlay) {
  JsonDocument chip = chip_document("toy-sm80");
  try {
    apply_overlay(chip, overlay, "toy-sm80");
  } catch (const ConfigError& error) {
    REQUIRE(error.issues().size() == 1);
    return error.issues()[0];
  }
  FAIL("no issue");
  return {};
}

}  // namespace

TEST_CASE("an overlay replaces the figures that it names and no other") {
  JsonDocument document = chip_document("toy-sm80");
  apply_overlay(document, overlay_with({{"hbm.efficiency", fitted(0.9)}}), "toy-sm80");
  const Chip chip = parse_chip(document);
  CHECK(chip.hbm.efficiency == 0.9);
  CHECK(chip.provenance.at("hbm.efficiency").status == FigureStatus::fitted);
  CHECK(chip.provenance.at("hbm.efficiency").source == "rows; uncertainty 0.8 to 1");
  CHECK(chip.overlay == "toy-sm80");
  const Chip base = load_chip("toy-sm80");
  CHECK(base.overlay.empty());
  for (const Figure& figure : figure_table()) {
    if (figure.path != "hbm.efficiency") CHECK(figure.get(chip) == figure.get(base));
  }
}

TEST_CASE("an overlay of another chip, with unknown figures or another status is refused") {
  JsonDocument other = overlay_with({{"hbm.efficiency", fitted(0.9)}});
  other.root["chip"] = "toy-sm90";
  CHECK(issue_of(other).pointer == "/chip");
  const ConfigIssue unknown = issue_of(overlay_with({{"hbm.eficiency", fitted(0.9)}}));
  CHECK(unknown.file == "overlay.json");
  CHECK(unknown.nearest == "hbm.efficiency");
  Json figure = fitted(0.9);
  figure["status"] = "published";
  CHECK(issue_of(overlay_with({{"hbm.efficiency", figure}})).pointer == "/figures/hbm.efficiency/status");
  figure = fitted(0.9);
  figure.erase("uncertainty");
  CHECK(issue_of(overlay_with({{"hbm.efficiency", figure}})).pointer == "/figures/hbm.efficiency/uncertainty");
  figure = fitted(0.9);
  figure.erase("value");
  CHECK(issue_of(overlay_with({{"hbm.efficiency", figure}})).pointer == "/figures/hbm.efficiency/value");
}

TEST_CASE("an overlay with seven figures is refused, one with six is applied") {
  Json figures = {{"hbm.efficiency", fitted(0.9)},   {"vector.chain_serialization", fitted(0.9)}, {"tensor.efficiency", fitted(0.9)},
                  {"launch.kernel_us", fitted(0.9)}, {"l2.effective_fraction", fitted(0.9)},      {"latency.hbm_ns", fitted(0.9)}};
  JsonDocument chip = chip_document("toy-sm80");
  CHECK_NOTHROW(apply_overlay(chip, overlay_with(figures), "toy-sm80"));
  CHECK_NOTHROW(parse_chip(chip));
  figures["launch.dependent_kernel_us"] = fitted(0.9);
  figures["launch.dependent_kernel_us"]["status"] = "measured";  // by a microbenchmark: fits nothing
  CHECK_NOTHROW(apply_overlay(chip, overlay_with(figures), "toy-sm80"));
  figures["launch.dependent_kernel_us"]["status"] = "fitted";
  CHECK(issue_of(overlay_with(figures)).problem == "has 7 fitted figures");
}

TEST_CASE("measured figures are as many as were measured") {
  Json figures;
  for (const char* path : {"hbm.efficiency", "vector.chain_serialization", "tensor.efficiency", "launch.kernel_us", "l2.effective_fraction",
                           "latency.hbm_ns", "launch.dependent_kernel_us"}) {
    figures[path] = fitted(0.9);
    figures[path]["status"] = "measured";
  }
  const Chip chip = load_chip("toy-sm80", overlay_with(figures));
  CHECK(chip.tensor.efficiency == 0.9);
  CHECK(chip.provenance.at("tensor.efficiency").status == FigureStatus::measured);
}

TEST_CASE("a fitted value outside its range is refused when the chip is read") {
  JsonDocument chip = chip_document("toy-sm80");
  apply_overlay(chip, overlay_with({{"hbm.efficiency", fitted(1.2)}}), "toy-sm80");
  CHECK_THROWS_AS(parse_chip(chip), ConfigError);
}
