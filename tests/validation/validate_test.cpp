// SPDX-License-Identifier: Apache-2.0
#include "validation/validate.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/core/data_dir.h"
#include "tests/support/temporary_folder.h"
#include "validation/file_formats.h"
#include "validation/report.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kPublished = data_dir() / "validation" / "published";

// Predicts the problem's key count, so that no engine is needed.
ValidateOptions fake() {
  ValidateOptions options;
  options.measurements = kPublished;
  options.predict_us = [](const Request& request, const TimedKernels&) { return static_cast<double>(request.problem.kv_len[0]); };
  return options;
}

}  // namespace

TEST_CASE("the shipped table reads without error and has a source for every row") {
  const Measurements m = read_measurements(kPublished);
  CHECK(m.files.size() == 3);
  CHECK(m.rows.size() >= 24);
  for (const std::string& name : m.files) {
    const CsvTable table = read_csv(kPublished / name);
    REQUIRE(table.header.back() == "source");
    for (const CsvRecord& record : table.records) CHECK_FALSE(record.fields.back().empty());
  }
}

TEST_CASE("both halves of the split together are all rows") {
  ValidateOptions options = fake();
  const std::size_t all = validate(options).outcomes.size();
  options.split = Split::calibration;
  const std::size_t calibration = validate(options).outcomes.size();
  options.split = Split::test;
  CHECK(calibration + validate(options).outcomes.size() == all);
  CHECK(calibration > 0);
  CHECK(calibration < all);
}

TEST_CASE("option --files restricts, and an unknown file is refused with the nearest name") {
  ValidateOptions options = fake();
  options.files = {"fa3_h100_locked_clock.csv"};
  const Validation validation = validate(options);
  CHECK(validation.files == options.files);
  CHECK(validation.ignored.size() == 2);
  for (const RowOutcome& outcome : validation.outcomes) CHECK(outcome.predicted_us == static_cast<double>(outcome.row.kv_len));
  options.files = {"fa3_h100_locked.csv"};
  CHECK_THROWS_WITH(validate(options), Contains("nearest: \"fa3_h100_locked_clock.csv\""));
}

TEST_CASE("a folder that is absent or holds nothing known is refused") {
  const test::TemporaryFolder folder;
  ValidateOptions options = fake();
  options.measurements = folder.path();
  CHECK_THROWS_WITH(validate(options), Contains("no file whose format is known"));
  std::ofstream(folder.path() / "other.csv") << "a,b\n1,2\n";
  CHECK_THROWS_WITH(validate(options), Contains("no file whose format is known"));
  options.measurements = folder.path() / "absent";
  CHECK_THROWS_WITH(validate(options), Contains("absent"));
}

TEST_CASE("unknown files are ignored and listed") {
  const test::TemporaryFolder folder;
  std::filesystem::copy(kPublished / "fa3_h100_locked_clock.csv", folder.path() / "fa3_h100_locked_clock.csv");
  std::ofstream(folder.path() / "other.csv") << "broken \" text";
  ValidateOptions options = fake();
  options.measurements = folder.path();
  CHECK(validate(options).ignored == std::vector<std::string>{"other.csv"});
}

TEST_CASE("the fitted roofline follows the rows of the fit folder") {
  const test::TemporaryFolder folder;
  std::ifstream source(kPublished / "fa3_h100_locked_clock.csv");
  std::ofstream target(folder.path() / "fa3_h100_locked_clock.csv");
  std::string line;
  std::getline(source, line);
  target << line << '\n';
  std::getline(source, line);
  target << line << '\n';
  target.close();
  ValidateOptions options = fake();
  options.files = {"fa3_h100_locked_clock.csv"};
  const double own = *validate(options).groups.front().fitted_roofline_mape;
  options.fit = folder.path();
  const double other = *validate(options).groups.front().fitted_roofline_mape;
  CHECK(other > own);  // one row can't serve the others better than their own fit
}

TEST_CASE("the accuracy table holds all rows and each half of the split by itself") {
  const Validation validation = attnsim::validate(fake());
  const auto json = nlohmann::json::parse(accuracy_json(validation.outcomes, "v1"));
  CHECK(json.at("model_version") == "v1");
  std::map<std::string, int> rows;
  for (const auto& entry : json.at("entries"))
    if (entry.at("kernel") == "all" && entry.at("band") == "all") rows[entry.at("split")] += entry.at("rows").get<int>();
  CHECK(rows.at("all") == static_cast<int>(validation.outcomes.size()));
  CHECK(rows.at("calibration") + rows.at("test") == rows.at("all"));
}

TEST_CASE("the text report has one table per file and counts unmapped rows by reason") {
  const Validation validation = attnsim::validate(fake());
  std::vector<RowOutcome> outcomes = validation.outcomes;
  outcomes.front().predicted_us.reset();
  outcomes.front().unmapped = "no kernel map entry for a library";
  const std::string text = report_text(validation.groups, outcomes, true);
  for (const std::string& file : validation.files)
    CHECK_THAT(text, Contains("\n" + file + "\n") || Catch::Matchers::StartsWith(file + "\n"));
  CHECK_THAT(text, Contains("Unmapped rows, by reason") && Contains("no kernel map entry for a library"));
}

TEST_CASE("a split is named exactly") {
  CHECK(split_named("test") == Split::test);
  CHECK_THROWS_WITH(split_named("tests"), Contains("nearest: \"test\""));
}
