// SPDX-License-Identifier: Apache-2.0
#include "tests/support/schema_validator.h"

#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim::test {

struct SchemaValidator::Schema {
  valijson::Schema schema;
};

SchemaValidator::SchemaValidator(const std::string& schema_file) : schema_(std::make_unique<Schema>()) {
  const Json document = read_json_file(data_dir() / schema_file).root;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(document), schema_->schema);
}

SchemaValidator::~SchemaValidator() = default;

bool SchemaValidator::accepts(const Json& document) const {
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  return validator.validate(schema_->schema, valijson::adapters::NlohmannJsonAdapter(document), nullptr);
}

}  // namespace attnsim::test
