// SPDX-License-Identifier: Apache-2.0
#include "bench/point_list.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "hwmodels/chip_loader.h"
#include "sim/core/error.h"
#include "sim/predict/run_config.h"
#include "workloads/harness.h"

namespace attnsim::bench {

namespace {

using Row = std::map<std::string, std::string>;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

Problem problem_of(const Row& row, const Variant& variant) {
  const auto number = [&](const char* name) { return static_cast<std::int64_t>(std::stoll(row.at(name))); };
  Problem problem;
  problem.batch = number("batch");
  problem.q_heads = number("q_heads");
  problem.kv_heads = number("kv_heads");
  problem.q_len = {number("q_len")};
  problem.kv_len = {number("kv_len")};
  problem.head_dim_qk = number("head_dim");
  problem.head_dim_v = problem.head_dim_qk;
  for (const ParamSpec& spec : variant.params) problem.params[std::string(spec.name)] = spec.default_value;
  if (number("window_left") >= 0) problem.params["left"] = number("window_left");
  if (problem.params.contains("alignment")) problem.params["alignment"] = std::string("bottom-right");
  return problem;
}

Request request_of(const Row& row) {
  Request request;
  request.workload = "bench";
  request.variant = &variant(row.at("variant"));
  request.problem = problem_of(row, *request.variant);
  request.schedule = load_schedule(row.at("schedule"));
  request.chip = load_chip(row.at("chip"));
  request.conditions = load_harness(row.at("harness")).for_phase(row.at("phase"));
  request.engine = EngineKind::fast;
  return request;
}

}  // namespace

std::vector<Point> read_points(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> names = split(line);
  std::vector<Point> points;
  while (std::getline(stream, line)) {
    const std::vector<std::string> fields = split(line);
    require(fields.size() == names.size(), "a point has every column");
    Row row;
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = fields[i];
    points.push_back({line, request_of(row)});
  }
  require(!points.empty(), "the list holds points");
  return points;
}

Request prefill(const std::string& chip, const std::string& schedule, const std::string& variant_name, std::int64_t length,
                std::int64_t q_heads) {
  const std::string tokens = std::to_string(length);
  return request_of({{"phase", "prefill"},
                     {"variant", variant_name},
                     {"chip", chip},
                     {"schedule", schedule},
                     {"harness", "default"},
                     {"batch", "1"},
                     {"q_heads", std::to_string(q_heads)},
                     {"kv_heads", std::to_string(std::max<std::int64_t>(1, q_heads / 4))},
                     {"q_len", tokens},
                     {"kv_len", tokens},
                     {"head_dim", "128"},
                     {"window_left", "-1"}});
}

}  // namespace attnsim::bench
