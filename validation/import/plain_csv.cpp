// SPDX-License-Identifier: Apache-2.0
// A CSV of one's own: any of the columns of rows_format.h, or these in their place. Documented in docs/import.md.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/error.h"
#include "validation/counter_values.h"
#include "validation/csv.h"
#include "validation/import/number_text.h"
#include "validation/import/recording.h"
#include "validation/rows_format.h"

namespace attnsim {

namespace {

struct Alias {
  std::string_view column;
  std::array<std::string_view, 2> means;  // "": nothing
};
constexpr std::array<Alias, 12> kAliases{{
    {"id", {"row_id", ""}},
    {"gpu", {"device", ""}},
    {"heads", {"q_heads", "kv_heads"}},
    {"num_heads", {"q_heads", "kv_heads"}},
    {"seq_len", {"q_len", "kv_len"}},
    {"seqlen", {"q_len", "kv_len"}},
    {"seqlen_q", {"q_len", ""}},
    {"seqlen_k", {"kv_len", ""}},
    {"head_dim", {"head_dim_qk", "head_dim_v"}},
    {"batch_size", {"batch", ""}},
    {"clock_mhz", {"sm_clock_mhz", ""}},
    {"op", {"phase", ""}},
}};
struct TimeColumn {
  std::string_view name;
  double microseconds;
};
constexpr std::array<TimeColumn, 7> kTimes{
    {{"time_us", 1}, {"latency_us", 1}, {"duration_us", 1}, {"time_ms", 1e3}, {"latency_ms", 1e3}, {"duration_ms", 1e3}, {"time_s", 1e6}}};

bool has(const std::vector<std::string>& header, std::string_view name) {
  return std::find(header.begin(), header.end(), name) != header.end();
}

const TimeColumn* time_column(const std::vector<std::string>& header) {
  for (const TimeColumn& time : kTimes)
    if (has(header, time.name)) return &time;
  return nullptr;
}

// False for a column that nobody reads.
bool take(const std::string& column, const std::string& value, RowFields& fields) {
  if (std::find(kRowColumns.begin(), kRowColumns.end(), column) != kRowColumns.end()) {
    if (!value.empty()) fields[column] = value;
    return true;
  }
  if (column == "causal") {
    const bool yes = value == "1" || value == "true" || value == "True", no = value == "0" || value == "false" || value == "False";
    if (yes || no)
      fields.try_emplace("mask", yes ? "causal" : "full");
    else if (!value.empty())
      fields["mask"] = value;
    return true;
  }
  for (const Alias& alias : kAliases) {
    if (alias.column != column) continue;
    for (const std::string_view meaning : alias.means)
      if (!meaning.empty() && !value.empty()) fields.try_emplace(std::string(meaning), value);
    return true;
  }
  return false;
}

bool is_time(const std::string& column) {
  return std::any_of(kTimes.begin(), kTimes.end(), [&](const TimeColumn& time) { return time.name == column; });
}

std::string field(const RowFields& fields, const std::string& name) {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

std::vector<std::string> header_of(std::string_view text) {
  try {
    return parse_csv(text.substr(0, std::min(text.find('\n'), text.size())), "").header;
  } catch (const ConfigError&) {
    return {};
  }
}

// The column that imported tables have.
void read_counters(const CsvTable& table, const CsvRecord& record, KernelRecord& kernel, Recording& recording) {
  const auto column = std::find(table.header.begin(), table.header.end(), kCountersColumn);
  if (column == table.header.end()) return;
  try {
    kernel.counters.merge(read_counters_cell(record.fields[static_cast<std::size_t>(column - table.header.begin())]));
  } catch (const std::invalid_argument& bad) {
    recording.notes.push_back(fmt::format("{}: counters: \"{}\" is no name=value", kernel.place, bad.what()));
  }
}

}  // namespace

bool is_plain_csv(std::string_view text) {
  const std::vector<std::string> header = header_of(text);
  return time_column(header) != nullptr && header.size() > 2;
}

Recording read_plain_csv(const std::string& text, const std::string& file) {
  const CsvTable table = parse_csv(text, file);
  const TimeColumn* time = time_column(table.header);
  if (time == nullptr) {
    std::string names;
    for (const TimeColumn& known : kTimes) names += (names.empty() ? "" : ", ") + std::string(known.name);
    throw ConfigError({file, "line 1", "", "has no column with a time", "one of " + names, ""});
  }
  Recording recording;
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    RowFields ignored;
    if (!is_time(table.header[i]) && !is_counter(table.header[i]) && table.header[i] != kCountersColumn &&
        !take(table.header[i], "1", ignored))
      recording.notes.push_back(fmt::format("column {} is not read", table.header[i]));
  }
  for (const CsvRecord& record : table.records) {
    KernelRecord kernel;
    kernel.place = fmt::format("line {}", record.line);
    std::string time_text;
    for (std::size_t i = 0; i < table.header.size(); ++i) {
      const std::optional<double> counted = is_counter(table.header[i]) ? number_of(record.fields[i]) : std::nullopt;
      if (table.header[i] == time->name)
        time_text = record.fields[i];
      else if (counted)
        kernel.counters[table.header[i]] = *counted;
      else
        take(table.header[i], record.fields[i], kernel.fields);
    }
    read_counters(table, record, kernel, recording);
    kernel.fields.try_emplace("mask", "full");
    kernel.fields.erase("time_us");
    kernel.name = field(kernel.fields, "kernel");
    kernel.device = field(kernel.fields, "device");
    const std::optional<double> value = number_of(time_text);
    if (value && *value > 0) {
      kernel.time_us = *value * time->microseconds;
      recording.kernels.push_back(std::move(kernel));
    } else {
      recording.rejected.push_back({kernel.place, kernel.name, fmt::format("column {}: \"{}\" is no time", time->name, time_text)});
    }
  }
  return recording;
}

}  // namespace attnsim
