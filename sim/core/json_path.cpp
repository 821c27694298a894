// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "sim/core/json_reader.h"
#include "sim/core/json_text.h"

namespace attnsim {

namespace {

// 4.0 and 4 are one number and must not make two identities.
Json normalised(const Json& value) {
  if (value.is_number_float()) {
    constexpr double kExact = 9007199254740992.0;  // 2^53
    const auto number = value.get<double>();
    if (std::abs(number) < kExact && number == std::trunc(number)) return static_cast<std::int64_t>(number);
    return value;
  }
  if (!value.is_structured()) return value;
  Json result = value;
  for (Json& element : result) element = normalised(element);
  return result;
}

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool is_figure(const Json& value) {
  return value.is_object() && value.contains("value");
}

Json* member(Json& value, const std::string& key) {
  if (value.is_object() && !is_figure(value)) {
    const auto found = value.find(key);
    return found == value.end() ? nullptr : &*found;
  }
  if (value.is_array() && !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos) {
    const std::size_t index = std::stoul(key);
    return index < value.size() ? &value[index] : nullptr;
  }
  return nullptr;
}

std::vector<std::string> names_in(const Json& value) {
  if (is_figure(value)) return {};
  if (!value.is_array()) return json_text::keys_of(value);
  std::vector<std::string> places(value.size());
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = std::to_string(i);
  return places;
}

}  // namespace

std::string canonical(const Json& value) {
  return normalised(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void set_by_path(JsonDocument& document, const std::string& dotted_path, const Json& value, const std::string& issue_file,
                 const std::string& issue_pointer, AbsentMember absent) {
  Json* target = &document.root;
  std::string walked;
  const std::vector<std::string> parts = split(dotted_path);
  for (const std::string& part : parts) {
    Json* next = member(*target, part);
    const bool last = &part == &parts.back();
    if (next == nullptr && last && absent == AbsentMember::added && target->is_object() && !is_figure(*target) && !part.empty()) {
      (*target)[part] = value;
      return;
    }
    if (next == nullptr) {
      std::vector<std::string> names = names_in(*target);
      const std::string nearest = nearest_name(part, names);
      for (std::string& name : names) name.insert(0, walked);
      throw ConfigError(ConfigIssue{issue_file, issue_pointer, json_text::shown(dotted_path), "names nothing that can be set",
                                    json_text::joined(names), nearest.empty() ? "" : walked + nearest});
    }
    target = next;
    walked += part + '.';
  }
  if (is_figure(*target)) {
    *target = Json{{"value", value}, {"status", "estimated"}, {"source", "override"}};
    return;
  }
  if (target->is_object() && !value.is_object()) {
    std::vector<std::string> names = json_text::keys_of(*target);
    for (std::string& name : names) name.insert(0, walked);
    throw ConfigError(ConfigIssue{issue_file, issue_pointer, json_text::shown(dotted_path), "names a section, not a single value",
                                  json_text::joined(names), ""});
  }
  *target = value;
}

std::string content_hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace attnsim
