// SPDX-License-Identifier: Apache-2.0
#include "sim/core/json_schema.h"

#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_text.h"

namespace attnsim {

namespace {

// {"$ref": "other.schema.json"} -> {}: anything goes there.
void open_foreign_references(Json& schema) {
  if (schema.is_object() && schema.contains("$ref") && schema["$ref"].is_string() && schema["$ref"].get<std::string>().front() != '#')
    schema = Json::object();
  if (schema.is_structured())
    for (Json& member : schema) open_foreign_references(member);
}

// valijson names a place as <root>[workloads][0]
std::string pointer_of(const std::string& context) {
  std::string pointer;
  for (std::size_t open = context.find('['); open != std::string::npos; open = context.find('[', open + 1)) {
    const std::size_t close = context.find(']', open);
    pointer = json_text::append_pointer(pointer, context.substr(open + 1, close - open - 1));
  }
  return pointer;
}

}  // namespace

struct JsonSchema::Parsed {
  valijson::Schema schema;
};

JsonSchema::JsonSchema(const std::string& file) : parsed_(std::make_unique<Parsed>()) {
  Json text = read_json_file(data_dir() / file).root;
  open_foreign_references(text);
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), parsed_->schema);
}

JsonSchema::~JsonSchema() = default;

std::vector<JsonSchema::Deviation> JsonSchema::deviations(const Json& document) const {
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  std::vector<Deviation> out;
  if (validator.validate(parsed_->schema, valijson::adapters::NlohmannJsonAdapter(document), &results)) return out;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    std::string context;
    for (const std::string& part : error.context) context += part;
    out.push_back({pointer_of(context), error.description});
  }
  return out;
}

}  // namespace attnsim
