// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_loader.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "hwmodels/figures.h"
#include "hwmodels/overlay.h"
#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

using namespace attnsim;

namespace {

JsonDocument toy() {
  return chip_document("toy-sm80");
}

std::vector<ConfigIssue> issues_of(const JsonDocument& document) {
  try {
    (void)parse_chip(document);
  } catch (const ConfigError& error) {
    return error.issues();
  }
  return {};
}

ConfigIssue single_issue(const JsonDocument& document) {
  const auto issues = issues_of(document);
  for (const auto& issue : issues) UNSCOPED_INFO(issue.pointer << ": " << issue.value << " " << issue.problem);
  REQUIRE(issues.size() == 1);
  return issues[0];
}

Json& at(JsonDocument& document, std::string_view dotted) {
  std::string pointer = "/" + std::string(dotted);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return document.root.at(Json::json_pointer(pointer));
}

std::string pointer_of(std::string_view dotted) {
  std::string pointer = "/" + std::string(dotted);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return pointer;
}

}  // namespace

TEST_CASE("every shipped chip loads, is named as its file and has a source for every figure") {
  for (const std::string& name : chip_names()) {
    INFO(name);
    const Chip chip = load_chip(name);
    CHECK(chip.name == name);
    CHECK_FALSE(chip.description.empty());
    for (const Figure& figure : figure_table()) {
      INFO(figure.path);
      const auto provenance = chip.provenance.find(std::string(figure.path));
      if (figure.optional && provenance == chip.provenance.end()) continue;
      REQUIRE(provenance != chip.provenance.end());
      CHECK_FALSE(provenance->second.source.empty());
    }
    CHECK(chip.provenance.count("links.0.bandwidth_gb_per_s") == 1);
  }
}

TEST_CASE("the chips that the documentation promises are shipped") {
  const std::vector<std::string> names = chip_names();
  CHECK(std::is_sorted(names.begin(), names.end()));
  for (const char* name : {"a100-sxm-80gb", "h100-sxm", "h200", "l40s", "b200", "gb200", "b300", "gb300", "rtx-pro-6000", "mi300x",
                           "rtx-4090", "tpu-like", "toy-sm80", "toy-sm90"}) {
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
}

TEST_CASE("every isa that a chip may name has an instruction-selection table") {
  for (const std::string_view isa : isa_choices()) {
    INFO(isa);
    CHECK(std::filesystem::exists(data_dir() / "sim" / "select" / "tables" / (std::string(isa) + ".json")));
  }
}

TEST_CASE("the toy chip holds the figures of its file") {
  const Chip chip = load_chip("toy-sm80");
  CHECK(chip.sm.count == 4);
  CHECK(chip.sm.fp32_lanes == 64);
  CHECK(chip.sm.smem_per_cta_kib == 163);
  CHECK_FALSE(chip.sm.exp_on_fma);
  CHECK(chip.tensor_flop_per_clk("bf16") == 1024);
  CHECK(chip.tensor_flop_per_clk("f8") == 0);
  CHECK(chip.tensor_rate("f16", "f16") == "f16");
  CHECK(load_chip("rtx-4090").tensor_rate("f16", "f16") == "f16_acc_f16");
  CHECK(load_chip("rtx-4090").tensor_rate("f16", "f32") == "f16");
  CHECK(chip.tensor.instructions == std::vector<std::string>{"mma_sync"});
  CHECK(chip.latency.hbm_ns == 300);
  CHECK(chip.clock.boost_mhz == 1000);
  CHECK(chip.l2_effective() == Bytes(1 << 20));
  CHECK(chip.hbm_peak(Megahertz(1000)).count() == Approx(100));
  CHECK(chip.hbm_peak(Megahertz(500)).count() == Approx(200));
  CHECK(chip.peak_tflops("bf16") == Approx(4 * 1024 * 1e9 / 1e12));
  CHECK(chip.peak_tflops("f8") == 0);
  CHECK(chip.links.at(0).bandwidth_gb_per_s == 10);
}

TEST_CASE("an unknown chip names the shipped ones and the nearest") {
  try {
    (void)load_chip("h100-smx");
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(error.issues().at(0).value == "\"h100-smx\"");
    CHECK(error.issues().at(0).nearest == "h100-sxm");
    CHECK_THAT(error.issues().at(0).allowed, Catch::Contains("a100-sxm-80gb, a30"));
  }
  CHECK_THROWS_AS(load_chip("../chips/h200"), ConfigError);
  CHECK_THROWS_AS(load_chip(""), ConfigError);
}

TEST_CASE("an override sets the member, its provenance and the resolved text") {
  JsonDocument document = toy();
  set_by_path(document, "hbm.bandwidth_gb_per_s", 6700, "run.json", "/overrides");
  set_by_path(document, "tensor.flop_per_clk_per_sm.bf16", 2048, "run.json", "/overrides");
  set_by_path(document, "sm.exp_on_fma", true, "run.json", "/overrides");
  set_by_path(document, "links.0.latency_us", 7, "run.json", "/overrides");
  const Chip chip = parse_chip(document);
  CHECK(chip.hbm.bandwidth_gb_per_s == 6700);
  CHECK(chip.tensor_flop_per_clk("bf16") == 2048);
  CHECK(chip.sm.exp_on_fma);
  CHECK(chip.links.at(0).latency_us == 7);
  CHECK(chip.provenance.at("hbm.bandwidth_gb_per_s").status == FigureStatus::estimated);
  CHECK(chip.provenance.at("hbm.bandwidth_gb_per_s").source == "override");
  CHECK(chip.resolved_json != load_chip("toy-sm80").resolved_json);
}

TEST_CASE("every figure of the table can be set by its path and is read back") {
  for (const Figure& figure : figure_table()) {
    INFO(figure.path);
    JsonDocument document = chip_document("toy-sm90");
    const double before = figure.get(parse_chip(document));
    Json value = before / 2;  // stays in range except for integers of 1 and booleans
    double expected = before / 2;
    if (figure.kind == FigureKind::boolean) {
      value = before == 0;
      expected = before == 0 ? 1 : 0;
    } else if (figure.kind == FigureKind::integer) {
      expected = std::max(1.0, static_cast<double>(static_cast<int>(before) / 2));
      value = static_cast<int>(expected);
    }
    if (figure.path == "hbm.write_cost" || figure.path == "hbm.scattered_write_cost") value = expected = before * 2;  // never below 1
    set_by_path(document, std::string(figure.path), value, "", "");
    if (figure.path == "power.cap_w") set_by_path(document, "power.idle_w", 0, "", "");
    if (figure.path == "sm.smem_kib") set_by_path(document, "sm.smem_per_cta_kib", 1, "", "");
    CHECK(figure.get(parse_chip(document)) == expected);
  }
}

TEST_CASE("every figure refuses values just outside its range, texts and a missing value") {
  for (const Figure& figure : figure_table()) {
    INFO(figure.path);
    std::vector<Json> wrong = {"1", nullptr, Json::array()};
    if (figure.kind == FigureKind::boolean) {
      wrong.insert(wrong.end(), {0, 1, 0.5});
    } else {
      wrong.push_back(true);
      wrong.push_back(figure.max * 2);
      wrong.push_back(figure.min - 1);
      if (figure.min_exclusive) wrong.push_back(figure.min);
      if (figure.kind == FigureKind::integer) wrong.push_back(1.5);
    }
    for (const Json& value : wrong) {
      INFO(value.dump());
      JsonDocument document = chip_document("toy-sm90");
      at(document, figure.path)["value"] = value;
      CHECK(single_issue(document).pointer == pointer_of(figure.path) + "/value");
    }
    JsonDocument document = chip_document("toy-sm90");
    at(document, figure.path).erase("value");
    CHECK(single_issue(document).pointer == pointer_of(figure.path) + "/value");
  }
}

TEST_CASE("a missing figure is reported once, a missing section too, an absent matrix rate is allowed") {
  for (const Figure& figure : figure_table()) {
    INFO(figure.path);
    JsonDocument document = chip_document("toy-sm90");
    const std::string path = pointer_of(figure.path);
    Json& section = document.root.at(Json::json_pointer(path.substr(0, path.rfind('/'))));
    section.erase(path.substr(path.rfind('/') + 1));
    if (figure.optional) {
      CHECK(issues_of(document).empty());
    } else {
      CHECK(single_issue(document).pointer == path);
    }
  }
  JsonDocument document = toy();
  document.root.erase("hbm");
  CHECK(single_issue(document).pointer == "/hbm");
  document = toy();
  document.root["hbm"] = 5;
  CHECK(single_issue(document).pointer == "/hbm");
  document = toy();
  document.root["hbm"]["efficiency"] = 0.9;
  CHECK(single_issue(document).problem == "is not a figure");
}

TEST_CASE("status, source and unknown keys of a figure are checked") {
  JsonDocument document = toy();
  at(document, "sm.count")["status"] = "guessed";
  CHECK(single_issue(document).allowed == "published, measured, derived, estimated, fitted");
  document = toy();
  at(document, "sm.count")["source"] = "";
  CHECK(single_issue(document).pointer == "/sm/count/source");
  document = toy();
  at(document, "sm.count").erase("source");
  CHECK(single_issue(document).problem == "is missing");
  document = toy();
  at(document, "sm")["cuont"] = at(document, "sm.count");
  CHECK(single_issue(document).nearest == "count");
  document = toy();
  document.root["hmb"] = 1;
  CHECK(single_issue(document).nearest == "hbm");
}

TEST_CASE("figures that contradict each other are refused") {
  const auto pointer_after = [](const char* path, const Json& value) {
    JsonDocument document = toy();
    set_by_path(document, path, value, "", "");
    return single_issue(document).pointer;
  };
  CHECK(pointer_after("sm.smem_per_cta_kib", 164.5) == "/sm/smem_per_cta_kib/value");
  CHECK(pointer_after("clock.min_mhz", 1001) == "/clock/min_mhz/value");
  CHECK(pointer_after("sm.gpcs", 5) == "/sm/gpcs/value");
  CHECK(pointer_after("sm.max_threads", 31) == "/sm/lanes_per_warp/value");
  CHECK(pointer_after("power.idle_w", 100.5) == "/power/idle_w/value");
  CHECK(pointer_after("tensor.instructions", Json::array({"wgmma"})) == "/tensor/instructions");
  CHECK(pointer_after("tensor.instructions", Json::array({"mma-sync"})) == "/tensor/instructions");
  CHECK(pointer_after("tensor.instructions", Json::array()) == "/tensor/instructions");
  CHECK(pointer_after("tensor.flop_per_clk_per_sm", Json::object()) == "/tensor/flop_per_clk_per_sm");
  CHECK(pointer_after("isa", "sm_81") == "/isa");
  JsonDocument equal = toy();
  set_by_path(equal, "sm.smem_per_cta_kib", 164, "", "");
  set_by_path(equal, "clock.min_mhz", 1000, "", "");
  CHECK(issues_of(equal).empty());
}

TEST_CASE("at most six figures of a chip are fitted") {
  JsonDocument document = toy();
  int fitted = 0;
  for (const Figure& figure : figure_table()) {
    if (figure.optional || fitted == kMostFittedFigures) continue;
    at(document, figure.path)["status"] = "fitted";
    ++fitted;
  }
  CHECK(issues_of(document).empty());
  at(document, "hbm.efficiency")["status"] = "fitted";
  CHECK(single_issue(document).problem == "has 7 fitted figures");
}

TEST_CASE("the resolved text does not depend on key order, number notation or the editor's schema key") {
  JsonDocument document = toy();
  document.root.erase("$schema");
  set_by_path(document, "links.0.latency_us", 1.0, "", "");
  JsonDocument other = toy();
  set_by_path(other, "links.0.latency_us", 1, "", "");
  CHECK(parse_chip(document).resolved_json == parse_chip(other).resolved_json);
}
