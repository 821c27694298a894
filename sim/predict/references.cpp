// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/references.h"

#include <algorithm>

#include "hwmodels/chip_loader.h"
#include "sim/core/json_text.h"
#include "workloads/catalog.h"

namespace attnsim {

namespace {

Overrides read_overrides(const Json& object, const std::string& file, const std::string& pointer) {
  Overrides overrides;
  const auto found = object.find("overrides");
  if (found == object.end()) return overrides;
  if (!found->is_object())
    throw ConfigError({file, pointer + "/overrides", json_text::shown(*found), "is no object", "{\"dotted.path\": value, ...}", ""});
  for (const auto& [path, value] : found->items()) overrides.emplace_back(path, value);
  return overrides;
}

// A reference holds nothing but "name" and "overrides"; a document has more members.
bool is_reference(const Json& object) {
  if (object.contains("overrides")) return true;
  return object.size() == 1 && object.contains("name");
}

std::string referenced_name(const Json& object, const std::vector<std::string>& names, const std::string& what, const std::string& file,
                            const std::string& pointer) {
  std::vector<ConfigIssue> issues;
  for (const auto& [key, value] : object.items())
    if (key != "name" && key != "overrides")
      issues.push_back({file, pointer + "/" + key, "", "is an unknown key", "name, overrides", nearest_name(key, {"name", "overrides"})});
  if (!object.contains("name")) {
    issues.push_back({file, pointer + "/name", "", "is missing", json_text::joined(names), ""});
  } else if (const Json& name = object.at("name"); !name.is_string()) {
    issues.push_back({file, pointer + "/name", json_text::shown(name), "is no text", json_text::joined(names), ""});
  } else if (std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) {
    issues.push_back({file, pointer + "/name", json_text::shown(name), "is no " + what, json_text::joined(names),
                      nearest_name(name.get<std::string>(), names)});
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return object.at("name").get<std::string>();
}

bool lies_at(const std::string& pointer, const std::string& place) {
  return pointer.starts_with(place) && (pointer.size() == place.size() || pointer[place.size()] == '/');
}

// What is wrong with a schedule that has overrides lies at the override that it concerns, else at all of them, with the field's name.
ConfigIssue at_override(ConfigIssue issue, const Overrides& overrides) {
  const std::string all = "/schedule/overrides";
  for (const auto& [path, value] : overrides) {
    std::string place = '/' + path;
    std::replace(place.begin(), place.end(), '.', '/');
    const std::string own = json_text::append_pointer(all, path);
    if (lies_at(issue.pointer, place)) {
      issue.pointer = own + issue.pointer.substr(place.size());
      return issue;
    }
    if (lies_at(place, issue.pointer)) {
      issue.pointer = own;
      return issue;
    }
  }
  issue.value = issue.pointer.substr(1) + (issue.value.empty() ? "" : " " + issue.value);
  issue.pointer = all;
  return issue;
}

Schedule overridden(const std::string& name, const Overrides& overrides) {
  JsonDocument document = schedule_document(name);
  for (const auto& [path, value] : overrides)
    set_by_path(document, path, value, "", json_text::append_pointer("/schedule/overrides", path), AbsentMember::added);
  try {
    return parse_schedule(document);
  } catch (const ConfigError& error) {
    std::vector<ConfigIssue> issues;
    for (const ConfigIssue& issue : error.issues()) issues.push_back(at_override(issue, overrides));
    throw ConfigError(std::move(issues));
  }
}

}  // namespace

Chip read_chip(FieldReader& root, const std::string& file) {
  const Json* value = root.raw("chip");
  const std::vector<std::string> names = chip_names();
  if (value == nullptr) throw ConfigError({file, "/chip", "", "is missing", json_text::joined(names), ""});
  if (value->is_string()) {
    const std::string name = value->get<std::string>();
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw ConfigError({file, "/chip", json_text::shown(*value), "is no chip", json_text::joined(names), nearest_name(name, names)});
    return load_chip(name);
  }
  if (!value->is_object())
    throw ConfigError({file, "/chip", json_text::shown(*value), "is neither a name nor an object", json_text::joined(names), ""});
  if (!is_reference(*value)) return located(file, "/chip", [&] { return parse_chip({file, *value}); });
  JsonDocument document = chip_document(referenced_name(*value, names, "chip", file, "/chip"));
  const Overrides overrides = read_overrides(*value, file, "/chip");
  for (const auto& [path, setting] : overrides)
    set_by_path(document, path, setting, file, json_text::append_pointer("/chip/overrides", path));
  return located(file, "/chip", [&] { return parse_chip(document); });
}

Harness read_harness(FieldReader& root, const std::string& file) {
  const Json* value = root.raw("harness");
  if (value == nullptr) return load_harness("default");
  const std::vector<std::string> names = harness_names();
  if (value->is_string()) {
    const std::string name = value->get<std::string>();
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw ConfigError({file, "/harness", json_text::shown(*value), "is no harness", json_text::joined(names), nearest_name(name, names)});
    return load_harness(name);
  }
  if (!value->is_object())
    throw ConfigError({file, "/harness", json_text::shown(*value), "is neither a name nor an object", json_text::joined(names), ""});
  return located(file, "/harness", [&] { return parse_harness({file, *value}); });
}

ScheduleChoice read_schedule_choice(FieldReader& reader, const std::string& key, const std::string& file) {
  ScheduleChoice choice;
  const Json* value = reader.raw(key);
  if (value == nullptr) return choice;
  const std::string pointer = reader.pointer(key);
  std::vector<std::string> names = schedule_names();
  names.insert(names.begin(), "auto");
  if (value->is_object()) {
    choice.name = referenced_name(*value, names, "schedule", file, pointer);
    choice.overrides = read_overrides(*value, file, pointer);
  } else {
    names.insert(names.begin() + 1, "best");
    const std::string name = value->is_string() ? value->get<std::string>() : "";
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw ConfigError({file, pointer, json_text::shown(*value), "is no schedule", json_text::joined(names), nearest_name(name, names)});
    choice.name = name;
  }
  choice.mode = choice.name == "auto" ? ScheduleMode::automatic : choice.name == "best" ? ScheduleMode::best : ScheduleMode::named;
  // Told here, before the first workload is played.
  if (choice.mode == ScheduleMode::named && !choice.overrides.empty())
    (void)located(file, reader.pointer(), [&] { return overridden(choice.name, choice.overrides); });
  return choice;
}

std::vector<Schedule> resolve_schedules(const ScheduleChoice& choice, const Variant& variant, const Problem& problem, const Chip& chip,
                                        const std::string& file, const std::string& pointer) {
  return located(file, pointer, [&]() -> std::vector<Schedule> {
    if (choice.mode == ScheduleMode::best) return legal_schedules(variant, problem, chip);
    const Schedule schedule =
        choice.mode == ScheduleMode::automatic ? default_schedule(variant, problem, chip) : load_schedule(choice.name);
    if (choice.overrides.empty()) return {schedule};
    return {overridden(schedule.name, choice.overrides)};
  });
}

}  // namespace attnsim
