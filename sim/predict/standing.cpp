// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/standing.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

bool covers(const AccuracyEntry& entry, const std::string& chip, const std::string& schedule, const std::string& phase) {
  if (entry.chip != chip || entry.rows <= 0 || (entry.phase != phase && entry.phase != "all")) return false;
  if (entry.schedules.empty()) return entry.kernel == schedule;
  return std::find(entry.schedules.begin(), entry.schedules.end(), schedule) != entry.schedules.end();
}

}  // namespace

std::vector<AccuracyEntry> load_accuracy() {
  const std::filesystem::path path = data_dir() / "validation" / "accuracy.json";
  if (!std::filesystem::exists(path)) return {};
  const JsonDocument document = read_json_file(path);
  FieldReader root(document);
  std::vector<AccuracyEntry> table;
  for (FieldReader& reader : root.children("entries")) {
    AccuracyEntry entry;
    entry.chip = reader.text("chip", {});
    entry.kernel = reader.text("kernel", {});
    entry.phase = reader.text("phase", {});
    entry.rows = reader.integer("rows", {.min = 0});
    entry.mape = reader.number("mape", {.min = 0});
    entry.note = reader.text("note", {}, "");
    if (const Json* schedules = reader.raw("schedules"); schedules != nullptr && schedules->is_array())
      for (const Json& name : *schedules)
        if (name.is_string()) entry.schedules.push_back(name.get<std::string>());
    table.push_back(std::move(entry));
  }
  root.finish();
  return table;
}

std::string standing(const std::vector<AccuracyEntry>& table, const std::string& chip, const std::string& schedule,
                     const std::string& phase) {
  const AccuracyEntry* best = nullptr;  // the one on most rows
  for (const AccuracyEntry& entry : table)
    if (covers(entry, chip, schedule, phase) && (best == nullptr || entry.rows > best->rows)) best = &entry;
  if (best == nullptr) return "unvalidated: no row for this family and chip";
  return fmt::format("validated: {:.1f} % on {} rows ({}, {} {}){}", best->mape, best->rows, best->chip, best->kernel, best->phase,
                     best->note.empty() ? "" : "; " + best->note);
}

}  // namespace attnsim
