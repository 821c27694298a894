// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/standing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

// Files without phases of serving call a pass "forward": it is prefill or encoder.
bool same_phase(const std::string& entry, const std::string& phase) {
  constexpr std::array<std::string_view, 3> kServing{"prefill", "decode", "encoder"};
  if (entry == phase) return true;
  return (phase == "prefill" || phase == "encoder") && std::find(kServing.begin(), kServing.end(), entry) == kServing.end();
}

bool covers(const AccuracyEntry& entry, const std::string& chip, const std::string& schedule, const std::string& phase) {
  if (entry.chip != chip || entry.rows <= 0 || !same_phase(entry.phase, phase)) return false;
  if (entry.schedules.empty()) return entry.kernel == schedule;
  return std::find(entry.schedules.begin(), entry.schedules.end(), schedule) != entry.schedules.end();
}

int rank(const AccuracyEntry& entry) {
  return entry.split == "test" ? 2 : entry.split == "calibration" ? 0 : 1;
}

// By hand instead of FieldReader: the table has many members that are of no interest here.
std::string text_of(const Json& object, const char* key, const char* fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

}  // namespace

std::vector<AccuracyEntry> load_accuracy() {
  const std::filesystem::path path = data_dir() / "validation" / "accuracy.json";
  if (!std::filesystem::exists(path)) return {};
  const JsonDocument document = read_json_file(path);
  std::vector<AccuracyEntry> table;
  if (!document.root.is_object() || !document.root.contains("entries")) return table;
  for (const Json& json : document.root["entries"]) {
    if (!json.is_object() || !json.contains("rows") || !json.contains("mape") || !json["mape"].is_number()) continue;
    AccuracyEntry entry{
        text_of(json, "chip", ""),        text_of(json, "kernel", "all"), text_of(json, "phase", "all"), text_of(json, "split", "all"),
        json["rows"].get<std::int64_t>(), json["mape"].get<double>(),     text_of(json, "note", ""),     {}};
    if (entry.kernel == "all" || entry.phase == "all" || text_of(json, "band", "all") != std::string("all")) continue;
    if (json.contains("schedules"))
      for (const Json& name : json["schedules"])
        if (name.is_string()) entry.schedules.push_back(name.get<std::string>());
    table.push_back(std::move(entry));
  }
  return table;
}

const std::vector<AccuracyEntry>& accuracy_table() {
  static const std::vector<AccuracyEntry> table = load_accuracy();
  return table;
}

std::string standing(const std::vector<AccuracyEntry>& table, const std::string& chip, const std::string& schedule,
                     const std::string& phase) {
  const AccuracyEntry* best = nullptr;  // kept-out rows first, then the one on most rows
  for (const AccuracyEntry& entry : table) {
    if (!covers(entry, chip, schedule, phase)) continue;
    if (best == nullptr || rank(entry) > rank(*best) || (rank(entry) == rank(*best) && entry.rows > best->rows)) best = &entry;
  }
  if (best == nullptr) return "unvalidated: no row for this family and chip";
  return fmt::format("validated: {:.1f} % on {} {} ({}, {}{}){}", best->mape, best->rows, best->rows == 1 ? "row" : "rows", best->chip,
                     best->kernel, best->phase.empty() ? "" : " " + best->phase, best->note.empty() ? "" : "; " + best->note);
}

}  // namespace attnsim
