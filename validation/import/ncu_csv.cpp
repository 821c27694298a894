// SPDX-License-Identifier: Apache-2.0
// Nsight Compute's CSV, both forms. Lines before the header (the program's own output, ==PROF== ...) are passed over.
//   wide  (--csv --page raw): one line per launch, one column per metric, a line of units below the header
//   long  (--csv, or --page details): one line per launch and metric, columns Metric Name, Metric Unit, Metric Value
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "validation/counter_values.h"
#include "validation/csv.h"
#include "validation/import/number_text.h"
#include "validation/import/recording.h"

namespace attnsim {

namespace {

constexpr std::string_view kHeaderStart = "\"ID\",\"Process ID\"";
constexpr std::array<std::string_view, 3> kDuration{"gpu__time_duration.sum", "gpu__time_duration.avg", "Duration"};
constexpr std::array<std::string_view, 4> kClock{"sm__cycles_elapsed.avg.per_second", "smsp__cycles_elapsed.avg.per_second", "SM Frequency",
                                                 "SM Active Cycles Frequency"};
constexpr std::string_view kDeviceName = "device__attribute_display_name";

// What the sections of the details page call metrics.
struct SectionName {
  std::string_view shown, unit, metric;
};
constexpr std::array kSectionNames{
    SectionName{"Compute (SM) Throughput", "%", "sm__throughput.avg.pct_of_peak_sustained_elapsed"},
    SectionName{"Memory Throughput", "%", "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed"},
    SectionName{"DRAM Throughput", "%", "dram__throughput.avg.pct_of_peak_sustained_elapsed"},
    SectionName{"L2 Cache Throughput", "%", "lts__throughput.avg.pct_of_peak_sustained_elapsed"},
    SectionName{"L2 Hit Rate", "%", "lts__t_sector_hit_rate.pct"},
    SectionName{"Elapsed Cycles", "cycle", "sm__cycles_elapsed.max"},
};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Launch {
  KernelRecord record;
  std::string problem;  // of a metric that could not be read
  bool timed = false;
};

// A metric that a prediction may have, in base units; a value that is no number leaves it out.
void set_counter(Launch& launch, const std::string& name, const std::string& unit, const std::string& text) {
  const auto section = std::find_if(kSectionNames.begin(), kSectionNames.end(),
                                    [&](const SectionName& s) { return s.shown == name && trimmed(unit) == s.unit; });
  const std::string metric = section == kSectionNames.end() ? name : std::string(section->metric);
  if (!is_counter(metric)) return;
  if (const std::optional<double> value = number_of(text)) launch.record.counters[metric] = *value * prefix_of(unit);
}

void set_metric(Launch& launch, const std::string& name, const std::string& unit, const std::string& text) {
  if (name == kDeviceName) launch.record.device = text;
  const bool duration = is_one_of(kDuration, name);
  if (!duration) set_counter(launch, name, unit, text);
  if (!duration && !is_one_of(kClock, name)) return;
  const std::optional<double> value = number_of(text);
  const std::optional<double> scale = duration ? microseconds_of(unit) : megahertz_of(unit);
  if (!value || *value <= 0)
    launch.problem = fmt::format("metric {} is \"{}\"", name, text);
  else if (!scale)
    launch.problem = fmt::format("metric {} has the unknown unit \"{}\"", name, unit);
  else if (duration)
    launch.record.time_us = *value * *scale, launch.timed = true;
  else
    launch.record.sm_clock_mhz = *value * *scale;
}

KernelRecord start_record(CsvReader& reader, const CsvTable& table, const CsvRecord& record, int line_offset) {
  const auto optional_text = [&](std::string_view column) -> std::string {
    const bool present = std::find(table.header.begin(), table.header.end(), column) != table.header.end();
    return present ? reader.text(column) : "";
  };
  KernelRecord kernel;
  kernel.place = fmt::format("line {} (ID {})", record.line + line_offset, reader.text("ID"));
  kernel.name = reader.text("Kernel Name");
  kernel.stream = optional_text("Stream");
  kernel.grid = triple_of(optional_text("Grid Size"));
  kernel.block = triple_of(optional_text("Block Size"));
  return kernel;
}

void keep(Recording& recording, Launch launch) {
  if (launch.timed) {
    recording.kernels.push_back(std::move(launch.record));
  } else {
    const std::string reason = launch.problem.empty() ? "no duration: profile with --metrics gpu__time_duration.sum" : launch.problem;
    recording.rejected.push_back({launch.record.place, launch.record.name, reason});
  }
}

void read_long(const CsvTable& table, int line_offset, Recording& recording) {
  constexpr std::array<std::string_view, 4> kColumns{"ID", "Kernel Name", "Metric Name", "Metric Value"};
  require_columns(table, kColumns);
  const bool has_unit = std::find(table.header.begin(), table.header.end(), "Metric Unit") != table.header.end();
  CsvReader reader(table);
  std::optional<Launch> launch;
  std::string id;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    if (!launch || reader.text("ID") != id) {
      if (launch) keep(recording, std::move(*launch));
      id = reader.text("ID");
      launch.emplace();
      launch->record = start_record(reader, table, record, line_offset);
    }
    set_metric(*launch, reader.text("Metric Name"), has_unit ? reader.text("Metric Unit") : "", reader.text("Metric Value"));
  }
  if (launch) keep(recording, std::move(*launch));
}

void read_wide(const CsvTable& table, int line_offset, Recording& recording) {
  constexpr std::array<std::string_view, 2> kColumns{"ID", "Kernel Name"};
  require_columns(table, kColumns);
  CsvReader reader(table);
  std::vector<std::string> units(table.header.size());
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    if (reader.text("ID").empty()) {  // the line of units
      units = record.fields;
      continue;
    }
    Launch launch;
    launch.record = start_record(reader, table, record, line_offset);
    for (std::size_t i = 0; i < table.header.size(); ++i) set_metric(launch, table.header[i], units[i], record.fields[i]);
    keep(recording, std::move(launch));
  }
}

std::size_t header_at(std::string_view text) {
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::string_view content = text.substr(line, end - line);
    if (content.starts_with(kHeaderStart) || (content.starts_with("\"ID\",") && content.find("\"Kernel Name\"") != std::string_view::npos))
      return line;
    line = end + 1;
  }
  return std::string_view::npos;
}

}  // namespace

bool is_ncu_csv(std::string_view text) {
  return header_at(text) != std::string_view::npos;
}

Recording read_ncu_csv(const std::string& text, const std::string& file) {
  const std::size_t start = header_at(text);
  if (start == std::string::npos)
    throw ConfigError(
        {file, "", "", "holds no header of Nsight Compute's CSV", "a line that starts with " + std::string(kHeaderStart), ""});
  // Messages of the tool may follow the table too.
  std::string csv;
  for (std::size_t line = start; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    if (text[line] == '"') csv += text.substr(line, end - line) + "\n";
    line = end + 1;
  }
  const int line_offset = static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(start), '\n'));
  const CsvTable table = parse_csv(csv, file);
  Recording recording;
  recording.harness = "ncu-kernel";
  const bool is_long = std::find(table.header.begin(), table.header.end(), "Metric Name") != table.header.end();
  (is_long ? read_long : read_wide)(table, line_offset, recording);
  return recording;
}

}  // namespace attnsim
