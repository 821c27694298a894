// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/sweep_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/core/data_dir.h"
#include "sim/core/json_text.h"
#include "sim/predict/grid_path.h"
#include "sim/predict/identity.h"
#include "sim/predict/run_config.h"
#include "sim/predict/schema_check.h"

namespace attnsim {

namespace {

constexpr std::size_t kMaxPoints = 1'000'000;

JsonDocument read_run(FieldReader& root, const std::string& file) {
  const Json* run = root.raw("run");
  if (run == nullptr) throw ConfigError({file, "/run", "", "is missing", "the path of a run config, or a run config", ""});
  if (run->is_object()) return {file, *run};
  if (!run->is_string())
    throw ConfigError(
        {file, "/run", json_text::shown(*run), "is neither a path nor an object", "the path of a run config, or a run config", ""});
  return read_json_file(std::filesystem::path(file).parent_path() / run->get<std::string>());
}

std::vector<SweepAxis> read_axes(FieldReader& root, const Json& run, const std::string& file) {
  std::vector<ConfigIssue> issues;
  std::vector<SweepAxis> axes;
  const Json* grid = root.raw("grid");
  if (grid == nullptr || !grid->is_object() || grid->empty())
    throw ConfigError({file, "/grid", grid == nullptr ? "" : json_text::shown(*grid), grid == nullptr ? "is missing" : "is no grid",
                       "{\"chip.hbm.bandwidth_gb_per_s\": [3350, 4800], ...}", ""});
  std::size_t points = 1;
  for (const auto& [path, values] : grid->items()) {
    const std::string pointer = json_text::append_pointer("/grid", path);
    try {
      if (!values.is_array() || values.empty())
        throw ConfigError({file, pointer, json_text::shown(values), "is no list of values", "a list of at least one value", ""});
      check_grid_path(run, path, file, pointer);
      axes.push_back({path, {values.begin(), values.end()}});
      points = std::min(points, kMaxPoints + 1) * std::min(values.size(), kMaxPoints + 1);
    } catch (const ConfigError& error) {
      issues.insert(issues.end(), error.issues().begin(), error.issues().end());
    }
  }
  if (points > kMaxPoints) issues.push_back({file, "/grid", "", "has too many points", fmt::format("at most {} points", kMaxPoints), ""});
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return axes;
}

// Shipped files that a run may refer to by name.
std::string data_hash() {
  std::vector<std::filesystem::path> files;
  for (const char* folder : {"hwmodels", "workloads", "sim/select/tables"}) {
    const std::filesystem::path root = data_dir() / folder;
    if (!std::filesystem::exists(root)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
      if (entry.path().extension() == ".json" && entry.path().parent_path().filename() != "configs") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const std::filesystem::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    text += file.filename().string() + ' ' + content_hash(content) + '\n';
  }
  return content_hash(text);
}

}  // namespace

std::size_t SweepConfig::size() const {
  std::size_t points = 1;
  for (const SweepAxis& axis : axes) points *= axis.values.size();
  return points;
}

SweepConfig parse_sweep_config(const JsonDocument& document) {
  FieldReader root(document);
  if (!document.root.is_object()) root.finish();  // throws: nothing else is worth a message
  SweepConfig sweep;
  sweep.file = document.file;
  (void)root.raw("$schema");
  sweep.name = root.text("name", {}, "sweep");
  (void)root.raw("run");
  (void)root.raw("grid");
  FieldReader outputs = root.child("outputs");
  sweep.database = outputs.text("db", {}, "");
  root.finish();
  sweep.run = read_run(root, document.file);
  if (document.root["run"].is_object())
    located(document.file, "/run", [&] { return parse_run_config(sweep.run); });
  else
    (void)parse_run_config(sweep.run);
  sweep.axes = read_axes(root, sweep.run.root, document.file);
  return sweep;
}

SweepConfig load_sweep_config(const std::string& file) {
  const JsonDocument document = read_json_file(file);
  SweepConfig sweep = parse_sweep_config(document);
  check_schema(document, "workloads/sweep.schema.json");
  check_schema(sweep.run, "workloads/run.schema.json");
  return sweep;
}

SweepPosition position(const SweepConfig& sweep, std::size_t index) {
  SweepPosition result{"", {"", sweep.run.root}};  // no file: reasons of failed points must not depend on where the config lies
  Json coordinates = Json::object();
  std::size_t stride = sweep.size();
  for (const SweepAxis& axis : sweep.axes) {
    stride /= axis.values.size();
    const Json& value = axis.values[index / stride % axis.values.size()];
    coordinates[axis.path] = value;
    apply_setting(result.run.root, axis.path, value);
  }
  result.coordinates = canonical(coordinates);
  return result;
}

std::string resolved_sweep(const SweepConfig& sweep) {
  Json grid = Json::object();
  for (const SweepAxis& axis : sweep.axes) grid[axis.path] = axis.values;
  Json run = sweep.run.root;
  for (const char* presentation : {"$schema", "name", "outputs"}) run.erase(presentation);
  const Json everything = {{"run", run}, {"grid", grid}, {"data", data_hash()}, {"sources", source_hash()}};
  return canonical(everything);
}

}  // namespace attnsim
