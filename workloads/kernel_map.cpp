// SPDX-License-Identifier: Apache-2.0
#include "workloads/kernel_map.h"

#include <algorithm>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::vector<std::filesystem::path> json_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) throw ConfigError({folder.string(), "", "", "is no folder that can be read", "the shipped data", ""});
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : entries)
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// A text or an array of texts.
std::vector<std::string> texts(FieldReader& reader, const std::string& key, bool required) {
  const Json* value = reader.raw(key);
  if (value == nullptr) {
    if (required) reader.issue(key, "is missing", "a text or a list of texts");
    return {};
  }
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> list;
  bool ok = value->is_array() && !value->empty();
  for (const Json& item : ok ? *value : Json::array()) {
    ok = ok && item.is_string();
    if (ok) list.push_back(item.get<std::string>());
  }
  if (!ok) reader.issue(key, "is no list of texts", "a text or a list of texts");
  return list;
}

std::pair<std::int64_t, std::int64_t> range(FieldReader& reader, const std::string& key, std::int64_t max) {
  if (!reader.has(key)) return {0, max};
  FieldReader child = reader.child(key);
  const std::int64_t low = child.integer("min", {.min = 1, .max = max}, 1);
  const std::int64_t high = child.integer("max", {.min = 1, .max = max}, max);
  if (low > high) child.issue("min", "is above max", "");
  return {low, high};
}

bool listed(const std::vector<std::string>& list, const std::string& value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

TimedKernels timed_kernels(FieldReader& reader) {
  TimedKernels timed;
  if (!reader.has("timed")) return timed;
  FieldReader child = reader.child("timed");
  for (const std::string& name : child.keys()) timed.emplace_back(name, child.integer(name, {.min = 1, .max = 1000}));
  return timed;
}

KernelMapEntry read_entry(FieldReader& reader) {
  KernelMapEntry entry;
  entry.kernel = reader.text("kernel", {});
  entry.devices = texts(reader, "devices", true);
  entry.options = reader.text("options", {}, "*");
  entry.phases = texts(reader, "phases", false);
  entry.dtypes = texts(reader, "dtypes", false);
  std::tie(entry.head_dim_min, entry.head_dim_max) = range(reader, "head_dim", 1 << 16);
  std::tie(entry.q_len_min, entry.q_len_max) = range(reader, "q_len", std::int64_t{1} << 40);
  std::tie(entry.group_min, entry.group_max) = range(reader, "group", 1 << 16);
  if (reader.has("windowed")) entry.windowed = reader.boolean("windowed");
  if (reader.has("ignores_window")) entry.ignores_window = reader.boolean("ignores_window");
  entry.computes = reader.text("computes", {"fp16", "bf16", "fp8"}, "");
  entry.measured_on = reader.text("measured_on", {}, "");
  if (reader.has("ignores_causal")) entry.ignores_causal = reader.boolean("ignores_causal");
  if (reader.has("paged")) entry.paged = reader.boolean("paged");
  entry.source = reader.text("source", {}, "");
  entry.unmapped = reader.text("unmapped", {}, "");
  entry.schedule = reader.text("schedule", {}, "");
  entry.then_backward = reader.text("then_backward", {}, "");
  entry.harness = reader.text("harness", {}, "");
  entry.timed = timed_kernels(reader);
  if (entry.unmapped.empty() == entry.schedule.empty())
    reader.issue("schedule", "an entry has a schedule or says why it is unmapped", "one of schedule, unmapped");
  if (!entry.then_backward.empty() && (entry.schedule.empty() || !entry.timed.empty()))
    reader.issue("then_backward", "follows a forward schedule whose whole call is timed", "with schedule, without timed");
  if (!entry.schedule.empty() && entry.harness.empty()) reader.issue("harness", "is missing", "the name of a harness");
  if (!entry.schedule.empty() && entry.source.empty()) reader.issue("source", "is missing", "where the choice of schedule comes from");
  return entry;
}

}  // namespace

bool matches_pattern(const std::string& pattern, const std::string& text) {
  // Greedy with one point of return: the last `*` takes one character more.
  std::size_t p = 0, t = 0, star = std::string::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool KernelMapEntry::matches(const MapKey& key) const {
  const auto device_matches = [&](const std::string& pattern) { return matches_pattern(pattern, key.device); };
  return matches_pattern(library, key.library) && matches_pattern(versions, key.version) && matches_pattern(kernel, key.kernel) &&
         std::any_of(devices.begin(), devices.end(), device_matches) && listed(phases, key.phase) && listed(dtypes, key.dtype) &&
         key.head_dim >= head_dim_min && key.head_dim <= head_dim_max && key.q_len >= q_len_min && key.q_len <= q_len_max &&
         key.group >= group_min && key.group <= group_max && matches_pattern(options, key.options) &&
         (!windowed || *windowed == key.windowed) && (!paged || paged == key.paged);
}

KernelMaps KernelMaps::load() {
  KernelMaps maps;
  const std::filesystem::path folder = data_dir() / "workloads" / "kernel_maps";
  for (const std::filesystem::path& path : json_files(folder)) maps.add(read_json_file(path));
  maps.add_devices(read_json_file(data_dir() / "workloads" / "devices.json"));
  return maps;
}

void KernelMaps::add(const JsonDocument& document) {
  FieldReader root(document);
  const std::string library = root.text("library", {});
  const std::string versions = root.text("versions", {}, "*");
  static_cast<void>(root.text("description", {}, ""));
  static_cast<void>(root.text("$schema", {}, ""));
  for (FieldReader& reader : root.children("entries")) {
    KernelMapEntry entry = read_entry(reader);
    entry.library = library;
    entry.versions = versions;
    entry.place = document.file + ": " + reader.pointer();
    entries_.push_back(std::move(entry));
  }
  root.finish();
}

void KernelMaps::add_devices(const JsonDocument& document) {
  FieldReader root(document);
  static_cast<void>(root.text("description", {}, ""));
  for (FieldReader& reader : root.children("devices")) {
    const std::string chip = reader.text("chip", {});
    static_cast<void>(reader.text("source", {}, ""));
    for (const std::string& name : texts(reader, "names", true)) devices_.emplace_back(name, chip);
  }
  root.finish();
}

KernelMaps::Found KernelMaps::find(const MapKey& key) const {
  for (const KernelMapEntry& entry : entries_) {
    if (!entry.matches(key)) continue;
    if (!entry.schedule.empty()) return {&entry, ""};
    return {nullptr, entry.unmapped};
  }
  return {nullptr, "no kernel map entry for " + key.library + " \"" + key.kernel + "\" on " + key.device};
}

std::optional<std::string> KernelMaps::chip_of(const std::string& device) const {
  for (const auto& [pattern, chip] : devices_)
    if (matches_pattern(pattern, device)) return chip;
  return std::nullopt;
}

}  // namespace attnsim
