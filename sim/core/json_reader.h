// SPDX-License-Identifier: Apache-2.0
// Strict reading of JSON documents. Duplicate keys, nesting deeper than 64, unknown keys, wrong kinds, fractions where an
// integer is meant and numbers out of range are errors; all errors of a document are reported at once.
//
//   JsonDocument doc = read_json_file("run.json");           // throws ConfigError (missing file, syntax with line and column)
//   FieldReader r(doc);                                      // the root object
//   std::int64_t batch = r.child("shape").integer("batch", {.min = 1, .max = 1 << 20}, 1);
//   std::string mask = r.text("alignment", {"top-left", "bottom-right"}, "bottom-right");
//   r.finish();                                              // unknown keys; throws all collected issues
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/error.h"

namespace attnsim {

using Json = nlohmann::json;

struct JsonDocument {
  std::string file;
  Json root;
};
[[nodiscard]] JsonDocument read_json_file(const std::filesystem::path& path);
[[nodiscard]] JsonDocument parse_json(const std::string& text, const std::string& file);

struct IntegerRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};
struct NumberRange {
  double min = -std::numeric_limits<double>::max();
  double max = std::numeric_limits<double>::max();
  bool min_exclusive = false;
};

// A view of one JSON object. Child readers and the root share one list of issues. Readers return the default (or a zero) after
// an issue, so that reading can go on.
class FieldReader {
 public:
  explicit FieldReader(const JsonDocument& document);

  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] const Json& json() const { return *value_; }
  [[nodiscard]] std::string pointer(const std::string& key = "") const;  // of this object, or of a member

  // Without a default the key is required.
  std::int64_t integer(const std::string& key, IntegerRange range, std::optional<std::int64_t> fallback = std::nullopt);
  double number(const std::string& key, NumberRange range, std::optional<double> fallback = std::nullopt);
  bool boolean(const std::string& key, std::optional<bool> fallback = std::nullopt);
  // `choices` empty: any text. Else the value must be one of them; the nearest is named.
  std::string text(const std::string& key, const std::vector<std::string>& choices, std::optional<std::string> fallback = std::nullopt);
  std::vector<std::int64_t> integers(const std::string& key, IntegerRange range);  // an integer or an array of them
  [[nodiscard]] FieldReader child(const std::string& key);                         // an object; an empty one when absent
  [[nodiscard]] std::vector<FieldReader> children(const std::string& key);         // an array of objects; empty when absent
  [[nodiscard]] const Json* raw(const std::string& key);                           // marks the key as known; nullptr when absent
  [[nodiscard]] std::vector<std::string> keys() const;

  void issue(const std::string& key, const std::string& problem, const std::string& allowed = "", const std::string& nearest = "");
  [[nodiscard]] bool ok() const;
  // Reports keys of this object (and of every child handed out) that nobody asked for, with the nearest asked-for name; throws
  // ConfigError if there is any issue.
  void finish();

 private:
  struct Shared;
  FieldReader(std::shared_ptr<Shared> shared, const Json* value, std::string pointer);
  std::shared_ptr<Shared> shared_;
  const Json* value_;
  std::string pointer_;
};

// Canonical text: sorted keys, no spaces, shortest round-trip numbers. What hashes are taken of.
[[nodiscard]] std::string canonical(const Json& value);
// Sets `value` at a dotted path ("hbm.bandwidth_gb_per_s"); throws ConfigError with the nearest name if the path is unknown.
// Chip figures are objects {"value", ...}: their value is replaced and the status becomes "estimated", source "override".
// A last name that an object lacks is added where `absent` says so: for documents whose reader tells unknown names itself.
enum class AbsentMember { refused, added };
void set_by_path(JsonDocument& document, const std::string& dotted_path, const Json& value, const std::string& issue_file,
                 const std::string& issue_pointer, AbsentMember absent = AbsentMember::refused);
// 64-bit FNV-1a, 16 hex digits.
[[nodiscard]] std::string content_hash(const std::string& text);

}  // namespace attnsim
