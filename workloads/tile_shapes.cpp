// SPDX-License-Identifier: Apache-2.0
#include "workloads/tile_shapes.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "workloads/catalog.h"
#include "workloads/variants/gna.h"

namespace attnsim {

namespace {

struct Group {
  std::int64_t head_dim_max = 0;
  std::vector<std::string> not_isas;
  std::vector<TilePair> tiles;
};

std::vector<std::string> isa_list(FieldReader& reader) {
  std::vector<std::string> names;
  const Json* list = reader.raw("not_isas");
  if (list == nullptr) return names;
  for (const Json& name : *list)
    if (name.is_string()) names.push_back(name.get<std::string>());
  if (!list->is_array() || names.size() != list->size()) reader.issue("not_isas", "is no list of texts", "a list of isas");
  return names;
}

std::vector<TilePair> tile_list(FieldReader& reader) {
  std::vector<TilePair> tiles;
  const Json* list = reader.raw("tiles");
  for (const Json& pair : list != nullptr && list->is_array() ? *list : Json::array()) {
    const bool texts = pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
    TilePair tile;
    if (texts) tile = {parse_extents(pair[0].get<std::string>()), parse_extents(pair[1].get<std::string>())};
    if (tile.q.empty() || tile.q.size() != tile.kv.size())
      reader.issue("tiles", "holds what is no pair of boxes", "[\"16x8\", \"16x8\"], ...");
    else
      tiles.push_back(std::move(tile));
  }
  if (tiles.empty()) reader.issue("tiles", "is no list of pairs of boxes", "[[\"16x8\", \"16x8\"], ...]");
  return tiles;
}

std::int64_t volume_of(const std::vector<std::int64_t>& box) {
  return std::accumulate(box.begin(), box.end(), std::int64_t{1}, std::multiplies<>());
}

std::filesystem::path folder() {
  return data_dir() / "workloads" / "tile_shapes";
}

}  // namespace

bool works_on_boxes(const Schedule& schedule) {
  return std::any_of(schedule.tiles.begin(), schedule.tiles.end(), [](const TileRule& rule) { return !rule.q_boxes.empty(); });
}

std::vector<std::string> schedules_with_tile_shapes() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder(), error))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<TilePair> parse_tile_shapes(const JsonDocument& document, std::size_t rank, std::int64_t head_dim, const std::string& isa) {
  FieldReader root(document);
  static_cast<void>(root.text("schedule", {}));
  static_cast<void>(root.text("source", {}));
  std::vector<Group> groups;
  for (FieldReader& reader : root.children("shapes"))
    groups.push_back({reader.integer("head_dim_max", {.min = 1, .max = 1 << 16}), isa_list(reader), tile_list(reader)});
  root.finish();
  std::int64_t fits = 0;
  for (const Group& group : groups)
    if (group.head_dim_max >= head_dim && (fits == 0 || group.head_dim_max < fits)) fits = group.head_dim_max;
  std::vector<TilePair> tiles;
  for (const Group& group : groups) {
    if (group.head_dim_max != fits || std::find(group.not_isas.begin(), group.not_isas.end(), isa) != group.not_isas.end()) continue;
    for (const TilePair& tile : group.tiles)
      if (tile.q.size() == rank) tiles.push_back(tile);
  }
  return tiles;
}

std::vector<TilePair> tile_shapes(const std::string& schedule, std::size_t rank, std::int64_t head_dim, const std::string& isa) {
  const std::vector<std::string> known = schedules_with_tile_shapes();
  if (std::find(known.begin(), known.end(), schedule) == known.end()) {
    std::string allowed;
    for (const std::string& name : known) allowed += (allowed.empty() ? "" : ", ") + name;
    throw ConfigError(
        {"", "/schedules", '"' + schedule + '"', "has no tile shapes to choose from", allowed, nearest_name(schedule, known)});
  }
  return parse_tile_shapes(read_json_file(folder() / (schedule + ".json")), rank, head_dim, isa);
}

JsonDocument with_boxes(const std::string& schedule, const TilePair& tiles, std::int64_t head_dim) {
  JsonDocument document = schedule_document(schedule);
  const std::int64_t rows = volume_of(tiles.q), keys = volume_of(tiles.kv);
  const Json* chosen = nullptr;
  int best = 0;
  for (const Json& rule : document.root.at("tiles")) {
    if (!rule.contains("q_boxes")) continue;
    const bool fits = rule.value("head_dim_max", 256) >= head_dim;
    const bool same = rule.value("tile_q", 128) == rows && rule.value("tile_kv", 128) == keys;
    const int rank = 1 + (fits ? 1 : 0) + (same ? 2 : 0);
    if (rank <= best) continue;
    best = rank;
    chosen = &rule;
  }
  if (chosen == nullptr) throw ConfigError({"", "/schedules", '"' + schedule + '"', "works on no boxes", "a schedule with boxes", ""});
  Json rule = *chosen;
  rule["head_dim_max"] = std::max<std::int64_t>(rule.value("head_dim_max", 256), head_dim);
  rule["tile_q"] = rows;
  rule["tile_kv"] = keys;
  // One box per number of axes, all of the tile's volume: the other numbers of axes get lines.
  for (const auto& [key, box] : {std::pair{"q_boxes", tiles.q}, std::pair{"kv_boxes", tiles.kv}}) {
    Json boxes = Json::array();
    for (std::size_t axes = 1; axes <= 3; ++axes) {
      std::vector<std::int64_t> line(axes, 1);
      line.back() = volume_of(box);
      boxes.push_back(axes == box.size() ? box : line);
    }
    rule[key] = boxes;
  }
  document.root["tiles"] = Json::array({rule});
  return document;
}

}  // namespace attnsim
