// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/schema_check.h"

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

void check_schema(const JsonDocument& document, const std::string& schema) {
  Json text = read_json_file(data_dir() / schema).root;
  open_foreign_references(text);
  valijson::Schema parsed;
  valijson::SchemaParser parser;
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), parsed);
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(parsed, valijson::adapters::NlohmannJsonAdapter(document.root), &results)) return;
  std::vector<ConfigIssue> issues;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    const std::string place = error.context.empty() ? "" : error.context.back();
    std::string joined;
    for (const std::string& part : error.context) joined += part;
    issues.push_back(
        {document.file, pointer_of(joined.empty() ? place : joined), "", "is against " + schema + ": " + error.description, "", ""});
  }
  throw ConfigError(std::move(issues));
}

}  // namespace attnsim
