// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_text.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "hwmodels/figures.h"
#include "sim/core/json_reader.h"

using namespace attnsim;

namespace {
double derived(const Chip& chip, const std::string& name) {
  for (const DerivedRow& row : derived_rows(chip)) {
    if (row.name == name) return row.value;
  }
  FAIL("no derived figure " << name);
  return 0;
}
}  // namespace

TEST_CASE("the derived figures of the toy chip follow from its round numbers") {
  const Chip chip = load_chip("toy-sm80");
  CHECK(derived(chip, "peak bf16") == Approx(4 * 1024 * 1e-3));
  CHECK(derived(chip, "peak fp32") == Approx(2 * 64 * 4 * 1e-3));
  CHECK(derived(chip, "exp2") == Approx(16 * 4 * 1e-3));
  CHECK(derived(chip, "shared memory") == Approx(128 * 4));
  CHECK(derived(chip, "L2") == Approx(128));
  CHECK(derived(chip, "memory, best achieved") == Approx(100));
  CHECK(derived(chip, "L2, effective") == Approx(1));
  CHECK(derived(chip, "ridge bf16") == Approx(4096.0 / 100));
}

TEST_CASE("the listing has one row for each figure with unit, status and source") {
  const Chip chip = load_chip("toy-sm90");
  const auto rows = figure_rows(chip);
  CHECK(rows.size() == figure_table().size() + 2 * chip.links.size());
  const auto row = std::find_if(rows.begin(), rows.end(), [](const auto& r) { return r.path == "hbm.bandwidth_gb_per_s"; });
  REQUIRE(row != rows.end());
  CHECK(row->value_text == "100");
  CHECK(row->unit == "GB/s");
  CHECK(row->status == "estimated");
  CHECK(row->source == "toy chip: round number for checks by hand");
}

TEST_CASE("a matrix rate that the chip lacks is not listed") {
  const auto rows = figure_rows(load_chip("toy-sm80"));
  CHECK(std::none_of(rows.begin(), rows.end(), [](const auto& r) { return r.path == "tensor.flop_per_clk_per_sm.f8"; }));
}

TEST_CASE("the fitted listing shows the overlay's figures only") {
  JsonDocument document = chip_document("toy-sm80");
  document.root["hbm"]["efficiency"] = {
      {"value", 0.75}, {"status", "fitted"}, {"source", "rows of the test"}, {"uncertainty", "0.7 to 0.8"}};
  const std::string text = chip_text(parse_chip(document), true);
  CHECK_THAT(text,
             Catch::Contains("hbm.efficiency") && Catch::Contains("0.75") && Catch::Contains("rows of the test; uncertainty 0.7 to 0.8"));
  CHECK_THAT(text, !Catch::Contains("hbm.bandwidth_gb_per_s") && !Catch::Contains("derived at"));
  CHECK_THAT(chip_text(load_chip("toy-sm80"), true), Catch::Contains("no fitted figures"));
}

TEST_CASE("the columns of the listing line up") {
  const std::string text = chip_text(load_chip("toy-sm80"));
  const std::size_t head = text.find("\nfigure");
  REQUIRE(head != std::string::npos);
  const std::size_t status = text.find("status", head) - head;
  std::size_t line = head;
  for (int i = 0; i < 20; ++i) {
    line = text.find('\n', line + 1);
    const std::string figure = text.substr(line + 3, text.find(' ', line + 3) - line - 3);
    INFO(figure);
    CHECK(text.compare(line + status, 9, figure.find("tmem") != std::string::npos ? "published" : "estimated") == 0);
  }
  CHECK_THAT(text, Catch::Contains("derived at 1000 MHz"));
}
