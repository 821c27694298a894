// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "sim/core/json_reader.h"
#include "sim/core/json_text.h"

namespace attnsim {

namespace {

constexpr std::size_t kDeepest = 64;

// Builds the document and refuses what nlohmann would let pass: duplicate keys and deep nesting.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  StrictBuilder(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*written*/) override { return put(value); }
  bool string(string_t& value) override { return put(value); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Level& level = open_.back();
    level.key = name;
    if (level.value->contains(name)) {
      issues_.push_back({file_, json_text::append_pointer(level.pointer, name), "", "is given more than once", "", ""});
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*last_token*/, const nlohmann::detail::exception& error) override {
    const std::string_view before = text_.substr(0, std::min(position > 0 ? position - 1 : 0, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t start = before.rfind('\n');
    const std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
    issues_.push_back({file_, next_pointer(), "", fmt::format("line {}, column {}: {}", line, column, reason(error.what())), "", ""});
    return false;
  }

  [[nodiscard]] JsonDocument take() {
    if (!issues_.empty()) throw ConfigError(std::move(issues_));
    return {file_, std::move(root_)};
  }

 private:
  struct Level {
    Json* value;
    std::string pointer;
    std::string key;
  };

  // nlohmann: "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
  static std::string reason(const std::string& message) {
    const std::size_t colon = message.find(": ");
    return colon == std::string::npos ? message : message.substr(colon + 2);
  }

  [[nodiscard]] std::string next_pointer() const {
    if (open_.empty()) return "";
    const Level& level = open_.back();
    if (level.value->is_array()) return json_text::append_pointer(level.pointer, std::to_string(level.value->size()));
    return level.key.empty() ? level.pointer : json_text::append_pointer(level.pointer, level.key);
  }

  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = open_.back();
    if (level.value->is_array()) {
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    Json& member = (*level.value)[level.key];
    member = std::move(value);
    return &member;
  }

  bool put(Json value) {
    place(std::move(value));
    return true;
  }

  bool open(Json empty) {
    const std::string pointer = next_pointer();
    if (open_.size() >= kDeepest) {
      issues_.push_back({file_, "", "", "is nested too deeply", fmt::format("at most {} levels", kDeepest), ""});
      return false;
    }
    open_.push_back({place(std::move(empty)), pointer, ""});
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string file_;
  std::string_view text_;
  Json root_;
  std::vector<Level> open_;
  std::vector<ConfigIssue> issues_;
};

std::string nearest_file(const std::filesystem::path& path) {
  std::vector<std::string> names;
  std::error_code ignored;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  for (auto it = std::filesystem::directory_iterator(folder, ignored); !ignored && it != std::filesystem::directory_iterator();
       it.increment(ignored)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return nearest_name(path.filename().string(), names);
}

}  // namespace

JsonDocument parse_json(const std::string& text, const std::string& file) {
  StrictBuilder builder(file, text);
  Json::sax_parse(text, &builder);
  return builder.take();
}

JsonDocument read_json_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw ConfigError(ConfigIssue{path.string(), "", "", "does not exist", "", nearest_file(path)});
  }
  if (std::filesystem::is_directory(path, ignored)) {
    throw ConfigError(ConfigIssue{path.string(), "", "", "is a directory, not a file", "", ""});
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream) throw ConfigError(ConfigIssue{path.string(), "", "", "can't be read", "", ""});
  return parse_json(text.str(), path.string());
}

}  // namespace attnsim
