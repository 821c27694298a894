// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_schema.h"

#include "hwmodels/figures.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

using nlohmann::json;

json text(const char* description) {
  return {{"type", "string"}, {"description", description}};
}

json closed_object(json properties, json required) {
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

json figure_object(json value) {
  return closed_object({{"value", std::move(value)},
                        {"status", {{"$ref", "#/definitions/status"}}},
                        {"source", {{"type", "string"}, {"minLength", 1}}},
                        {"uncertainty", text("Range in which the value may lie")}},
                       json::array({"value", "status", "source"}));
}

json value_schema(const Figure& figure) {
  std::string description(figure.description);
  if (!figure.unit.empty()) description += " [" + std::string(figure.unit) + "]";
  if (figure.kind == FigureKind::boolean) return {{"type", "boolean"}, {"description", description}};
  const bool integer = figure.kind == FigureKind::integer;
  json schema = {{"type", integer ? "integer" : "number"}, {"description", description}};
  schema[figure.min_exclusive ? "exclusiveMinimum" : "minimum"] = integer ? json(static_cast<std::int64_t>(figure.min)) : json(figure.min);
  schema["maximum"] = integer ? json(static_cast<std::int64_t>(figure.max)) : json(figure.max);
  return schema;
}

void add_figure(json& root, const Figure& figure) {
  json* section = &root;
  std::string path(figure.path);
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
    const std::string key = path.substr(0, dot);
    if (!(*section)["properties"].contains(key)) {
      (*section)["properties"][key] = closed_object(json::object(), json::array());
      (*section)["required"].push_back(key);
    }
    section = &(*section)["properties"][key];
    path = path.substr(dot + 1);
  }
  (*section)["properties"][path] = figure_object(value_schema(figure));
  if (!figure.optional) (*section)["required"].push_back(path);
}

json links() {
  return {{"type", "array"},
          {"description", "Links to other chips and to the host, one direction"},
          {"items", closed_object({{"name", text("Name of the link")},
                                   {"bandwidth_gb_per_s", figure_object({{"type", "number"}, {"exclusiveMinimum", 0.0}, {"maximum", 1e6}})},
                                   {"latency_us", figure_object({{"type", "number"}, {"minimum", 0.0}, {"maximum", 1e4}})}},
                                  json::array({"name", "bandwidth_gb_per_s", "latency_us"}))}};
}

}  // namespace

json chip_schema() {
  json root = closed_object({{"$schema", text("Path of this schema, for editors")},
                             {"name", text("Name, equal to the file's")},
                             {"description", text("One line")},
                             {"vendor", text("Maker")},
                             {"isa", {{"description", "Instruction-selection table"}, {"enum", isa_choices()}}},
                             {"overlay", text("Name of the overlay that was applied")},
                             {"links", links()}},
                            json::array({"name", "description", "vendor", "isa"}));
  root["$schema"] = "http://json-schema.org/draft-07/schema#";
  root["title"] = "attnsim chip";
  root["description"] = "Primitives of one chip; peaks are derived. Every figure states where it comes from.";
  root["definitions"] = {{"status", {{"enum", status_names()}, {"description", "How sure the value is"}}}};
  for (const Figure& figure : figure_table()) add_figure(root, figure);
  json& tensor = root["properties"]["tensor"];
  tensor["properties"]["flop_per_clk_per_sm"]["minProperties"] = 1;
  tensor["properties"]["instructions"] = {
      {"type", "array"}, {"minItems", 1}, {"items", {{"enum", instruction_choices()}}}, {"description", "Matrix instructions"}};
  tensor["required"].push_back("instructions");
  return root;
}

}  // namespace attnsim
