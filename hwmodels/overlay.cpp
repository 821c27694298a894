// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/overlay.h"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/chip_loader.h"
#include "hwmodels/figures.h"
#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

Json* find_figure(Json& root, const std::string& path) {
  Json* value = &root;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('.', start), path.size());
    const auto member = value->find(path.substr(start, end - start));
    if (!value->is_object() || member == value->end()) return nullptr;
    value = &*member;
    start = end + 1;
  }
  return value->is_object() && value->contains("value") ? value : nullptr;
}

std::string nearest_figure(const std::string& path) {
  std::vector<std::string> paths;
  for (const Figure& figure : figure_table()) paths.emplace_back(figure.path);
  return nearest_name(path, paths);
}

}  // namespace

void apply_overlay(JsonDocument& chip, const JsonDocument& overlay, const std::string& chip_name) {
  FieldReader reader(overlay);
  reader.text("chip", {chip_name});
  reader.text("description", {});
  reader.text("fitted_on", {});
  FieldReader figures = reader.child("figures");
  const std::vector<std::string> paths = figures.keys();
  int fitted = 0;
  for (const std::string& path : paths) {
    FieldReader figure = figures.child(path);
    if (figure.text("status", {"fitted", "measured"}) != "measured") ++fitted;
    figure.text("source", {});
    figure.text("uncertainty", {});
    const Json* value = figure.raw("value");
    if (value == nullptr) figure.issue("value", "is missing", "the fitted value");
    Json* target = find_figure(chip.root, path);
    if (target == nullptr) {
      figures.issue(path, "is no figure of this chip", "", nearest_figure(path));
    } else {
      *target = figure.json();
    }
  }
  if (fitted > kMostFittedFigures) {
    reader.issue("figures", fmt::format("has {} fitted figures", fitted), fmt::format("at most {}", kMostFittedFigures));
  }
  reader.finish();
  chip.root["overlay"] = chip_name;
}

namespace {

JsonDocument base_document(const std::string& name) {
  const std::vector<std::string> names = chip_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigError(
        ConfigIssue{"", "", Json(name).dump(), "is no chip", fmt::format("{}", fmt::join(names, ", ")), nearest_name(name, names)});
  }
  return read_json_file(data_dir() / "hwmodels" / "chips" / (name + ".json"));
}

}  // namespace

JsonDocument chip_document(const std::string& name) {
  JsonDocument document = base_document(name);
  const std::filesystem::path overlay = data_dir() / "hwmodels" / "overlays" / (name + ".json");
  if (std::filesystem::exists(overlay)) apply_overlay(document, read_json_file(overlay), name);
  return document;
}

JsonDocument chip_document(const std::string& name, const JsonDocument& overlay) {
  JsonDocument document = chip_document(name);
  apply_overlay(document, overlay, name);
  return document;
}

Chip load_chip(const std::string& name, const JsonDocument& overlay) {
  return parse_chip(chip_document(name, overlay));
}

}  // namespace attnsim
