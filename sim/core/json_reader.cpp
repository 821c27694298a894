// SPDX-License-Identifier: Apache-2.0
#include "sim/core/json_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/json_text.h"

namespace attnsim {

namespace {

const Json& empty_object() {
  static const Json empty = Json::object();
  return empty;
}

bool starts_with_pointer(const std::string& pointer, const std::string& prefix) {
  return pointer.compare(0, prefix.size(), prefix) == 0 && (pointer.size() == prefix.size() || pointer[prefix.size()] == '/');
}

std::string range_text(IntegerRange range) {
  const bool low = range.min != std::numeric_limits<std::int64_t>::min();
  const bool high = range.max != std::numeric_limits<std::int64_t>::max();
  if (low && high) return fmt::format("integers from {} to {}", range.min, range.max);
  if (low) return fmt::format("integers >= {}", range.min);
  if (high) return fmt::format("integers <= {}", range.max);
  return "integers";
}

std::string range_text(NumberRange range) {
  const bool low = range.min != -std::numeric_limits<double>::max();
  const bool high = range.max != std::numeric_limits<double>::max();
  std::string text = "numbers";
  if (low) text += fmt::format(" {} {}", range.min_exclusive ? ">" : ">=", range.min);
  if (high) text += fmt::format("{} <= {}", low ? " and" : "", range.max);
  return text;
}

}  // namespace

// What has been asked for, by object. Objects that were absent or of a wrong kind have no further issues of their own.
struct FieldReader::Shared {
  struct Node {
    std::string pointer;
    const Json* value;
    std::vector<std::string> asked;
    bool quiet = false;
    bool finished = false;
  };

  std::string file;
  std::vector<ConfigIssue> issues;
  std::vector<Node> nodes;

  Node& node(const std::string& pointer, const Json* value) {
    const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.pointer == pointer; });
    if (found != nodes.end()) return *found;
    nodes.push_back({pointer, value, {}, false, false});
    return nodes.back();
  }

  void ask(const std::string& pointer, const Json* value, const std::string& key) {
    std::vector<std::string>& asked = node(pointer, value).asked;
    if (std::find(asked.begin(), asked.end(), key) == asked.end()) asked.push_back(key);
  }

  void report(const std::string& pointer, const Json* value, const std::string& problem, const std::string& allowed,
              const std::string& nearest) {
    issues.push_back({file, pointer, value == nullptr ? "" : json_text::shown(*value), problem, allowed, nearest});
  }

  void report_missing(const std::string& parent, const std::string& key, const std::string& allowed) {
    for (const Node& n : nodes) {
      if (n.pointer == parent && n.quiet) return;
    }
    report(json_text::append_pointer(parent, key), nullptr, "is missing", allowed, "");
  }

  std::int64_t checked_integer(const Json& value, const std::string& pointer, IntegerRange range) {
    const bool fits = value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX);
    if (value.is_number_integer() && !fits) {
      report(pointer, &value, "is out of range", range_text(range), "");
    } else if (!fits) {
      report(pointer, &value, "is not an integer", range_text(range), "");
    } else if (const auto number = value.get<std::int64_t>(); number < range.min || number > range.max) {
      report(pointer, &value, "is out of range", range_text(range), "");
    } else {
      return number;
    }
    return 0;
  }
};

FieldReader::FieldReader(const JsonDocument& document) : shared_(std::make_shared<Shared>()), value_(&document.root) {
  shared_->file = document.file;
  if (!value_->is_object()) {
    shared_->report("", value_, "is not an object", "an object", "");
    value_ = &empty_object();
    shared_->node("", value_).quiet = true;
  }
  shared_->ask("", value_, "$schema");  // editors put it there
}

FieldReader::FieldReader(std::shared_ptr<Shared> shared, const Json* value, std::string pointer)
    : shared_(std::move(shared)), value_(value), pointer_(std::move(pointer)) {
  shared_->node(pointer_, value_);
}

bool FieldReader::has(const std::string& key) const {
  return value_->contains(key);
}

std::string FieldReader::pointer(const std::string& key) const {
  return key.empty() ? pointer_ : json_text::append_pointer(pointer_, key);
}

const Json* FieldReader::raw(const std::string& key) {
  shared_->ask(pointer_, value_, key);
  const auto member = value_->find(key);
  return member == value_->end() ? nullptr : &*member;
}

std::int64_t FieldReader::integer(const std::string& key, IntegerRange range, std::optional<std::int64_t> fallback) {
  const Json* value = raw(key);
  if (value == nullptr) {
    if (!fallback) shared_->report_missing(pointer_, key, range_text(range));
    return fallback.value_or(0);
  }
  const std::size_t issues = shared_->issues.size();
  const std::int64_t number = shared_->checked_integer(*value, pointer(key), range);
  return shared_->issues.size() == issues ? number : fallback.value_or(0);
}

double FieldReader::number(const std::string& key, NumberRange range, std::optional<double> fallback) {
  const Json* value = raw(key);
  if (value == nullptr) {
    if (!fallback) shared_->report_missing(pointer_, key, range_text(range));
    return fallback.value_or(0);
  }
  if (!value->is_number()) {
    issue(key, "is not a number", range_text(range));
    return fallback.value_or(0);
  }
  const auto number = value->get<double>();
  if (number < range.min || number > range.max || (range.min_exclusive && number == range.min)) {
    issue(key, "is out of range", range_text(range));
    return fallback.value_or(0);
  }
  return number;
}

bool FieldReader::boolean(const std::string& key, std::optional<bool> fallback) {
  const Json* value = raw(key);
  if (value == nullptr) {
    if (!fallback) shared_->report_missing(pointer_, key, "true, false");
    return fallback.value_or(false);
  }
  if (value->is_boolean()) return value->get<bool>();
  issue(key, "is not true or false", "true, false");
  return fallback.value_or(false);
}

std::string FieldReader::text(const std::string& key, const std::vector<std::string>& choices, std::optional<std::string> fallback) {
  const Json* value = raw(key);
  const std::string allowed = choices.empty() ? "text" : json_text::joined(choices);
  if (value == nullptr) {
    if (!fallback) shared_->report_missing(pointer_, key, allowed);
    return fallback.value_or("");
  }
  if (!value->is_string()) {
    issue(key, "is not a text", allowed);
    return fallback.value_or("");
  }
  std::string written = value->get<std::string>();
  if (choices.empty() || std::find(choices.begin(), choices.end(), written) != choices.end()) return written;
  issue(key, "is not one of the choices", allowed, nearest_name(written, choices));
  return fallback.value_or("");
}

std::vector<std::int64_t> FieldReader::integers(const std::string& key, IntegerRange range) {
  const Json* value = raw(key);
  std::vector<std::int64_t> result;
  if (value == nullptr) {
    shared_->report_missing(pointer_, key, range_text(range) + ", or an array of them");
  } else if (value->is_array()) {
    for (std::size_t i = 0; i < value->size(); ++i) {
      result.push_back(shared_->checked_integer((*value)[i], json_text::append_pointer(pointer(key), std::to_string(i)), range));
    }
  } else {
    result.push_back(shared_->checked_integer(*value, pointer(key), range));
  }
  return result;
}

FieldReader FieldReader::child(const std::string& key) {
  const Json* value = raw(key);
  const bool is_object = value != nullptr && value->is_object();
  if (value != nullptr && !is_object) issue(key, "is not an object", "an object");
  FieldReader reader(shared_, is_object ? value : &empty_object(), pointer(key));
  if (value != nullptr && !is_object) shared_->node(reader.pointer_, reader.value_).quiet = true;
  return reader;
}

std::vector<FieldReader> FieldReader::children(const std::string& key) {
  std::vector<FieldReader> readers;
  const Json* value = raw(key);
  if (value == nullptr) return readers;
  if (!value->is_array()) {
    issue(key, "is not an array", "an array of objects");
    return readers;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& element = (*value)[i];
    const std::string at = json_text::append_pointer(pointer(key), std::to_string(i));
    if (element.is_object()) {
      readers.push_back(FieldReader(shared_, &element, at));
    } else {
      shared_->report(at, &element, "is not an object", "an object", "");
    }
  }
  return readers;
}

std::vector<std::string> FieldReader::keys() const {
  return json_text::keys_of(*value_);
}

void FieldReader::issue(const std::string& key, const std::string& problem, const std::string& allowed, const std::string& nearest) {
  const auto member = value_->find(key);
  const Json* value = key.empty() ? value_ : (member == value_->end() ? nullptr : &*member);
  shared_->report(pointer(key), value, problem, allowed, nearest);
}

bool FieldReader::ok() const {
  return shared_->issues.empty();
}

void FieldReader::finish() {
  for (Shared::Node& node : shared_->nodes) {
    if (node.finished || !starts_with_pointer(node.pointer, pointer_)) continue;
    node.finished = true;
    for (const auto& member : node.value->items()) {
      if (std::find(node.asked.begin(), node.asked.end(), member.key()) != node.asked.end()) continue;
      std::vector<std::string> names;
      std::copy_if(node.asked.begin(), node.asked.end(), std::back_inserter(names), [](const std::string& n) { return n != "$schema"; });
      shared_->report(json_text::append_pointer(node.pointer, member.key()), &member.value(), "is an unknown key", json_text::joined(names),
                      nearest_name(member.key(), names));
    }
  }
  if (!ok()) throw ConfigError(shared_->issues);
}

}  // namespace attnsim
