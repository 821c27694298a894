// SPDX-License-Identifier: Apache-2.0
#include "validation/import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <sstream>

#include "sim/core/json_text.h"
#include "validation/counter_values.h"
#include "validation/rows_format.h"
#include "validation/statistics.h"

namespace attnsim {

namespace {

constexpr std::array<ImportFormat, 4> kFormats{{
    {"ncu-csv", "Nsight Compute: ncu --csv, with --page raw or not", is_ncu_csv, read_ncu_csv},
    {"natten", "the table that NATTEN's profiler prints", is_natten_table, read_natten_table},
    {"kineto", "PyTorch profiler: export_chrome_trace, best with record_shapes=True", is_kineto, read_kineto},
    {"csv", "a table of one's own: time_us and columns of docs/import.md", is_plain_csv, read_plain_csv},
}};

std::string formats_text() {
  std::string text = "auto";
  for (const ImportFormat& format : kFormats) text += ", " + std::string(format.name);
  return text;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (stream && !std::filesystem::is_directory(path)) text << stream.rdbuf();
  if (!stream || std::filesystem::is_directory(path))
    throw ConfigError({path.string(), "", "", "can't be read", "a file of a profiler", ""});
  if (text.view().starts_with("\x1f\x8b"))
    throw ConfigError({path.string(), "", "", "is compressed", "the file unpacked: gunzip it first", ""});
  return text.str();
}

const ImportFormat& choose_format(const ImportOptions& options, const std::string& text) {
  std::vector<std::string> names{"auto"};
  for (const ImportFormat& format : kFormats) {
    names.emplace_back(format.name);
    if (options.format == "auto" ? format.recognises(text) : options.format == format.name) return format;
  }
  if (options.format == "auto") {
    std::string known;
    for (const ImportFormat& format : kFormats)
      known += fmt::format("{}{} ({})", known.empty() ? "" : "; ", format.name, format.description);
    throw ConfigError({options.file.string(), "", "", "is in no format that is known", known, ""});
  }
  throw ConfigError(
      {"command line", "--format", '"' + options.format + '"', "is no format", formats_text(), nearest_name(options.format, names)});
}

std::string get(const RowFields& fields, std::string_view name) {
  const auto found = fields.find(std::string(name));
  return found == fields.end() ? "" : found->second;
}

bool is_operator(const std::string& phase) {
  return phase == "gemm" || phase == "softmax" || phase == "layernorm";
}

// "" or what the row lacks.
std::string missing_of(const RowFields& fields) {
  std::vector<std::string> needed{"device", "dtype"};
  if (is_operator(get(fields, "phase"))) {
    needed.insert(needed.end(), {"m", "n"});
    if (get(fields, "phase") == "gemm") needed.emplace_back("k");
  } else {
    needed.insert(needed.end(), {"batch", "q_heads", "q_len", "head_dim_qk", "mask"});
  }
  std::string missing;
  for (const std::string& name : needed)
    if (get(fields, name).empty()) missing += (missing.empty() ? "" : ", ") + name;
  return missing;
}

// What follows from other fields.
void complete(RowFields& fields) {
  const auto fallback = [&](const char* name, const std::string& value) {
    if (get(fields, name).empty()) fields[name] = value;
  };
  if (is_operator(get(fields, "phase"))) return;
  fallback("kv_heads", get(fields, "q_heads"));
  fallback("kv_len", get(fields, "q_len"));
  fallback("head_dim_v", get(fields, "head_dim_qk"));
  fallback("phase", get(fields, "q_len") == "1" ? "decode" : "fwd");
  if (!get(fields, "window").empty() && get(fields, "window") != "0" && get(fields, "mask") == "causal") fields["mask"] = "causal_window";
}

std::string shown(const std::string& name) {
  constexpr std::size_t kMost = 70;
  return name.size() > kMost ? name.substr(0, kMost - 3) + "..." : name;
}

// What a row is, without its time: launches that agree here are samples of one row.
std::string identity_of(const RowFields& fields) {
  std::string text;
  for (const auto& [name, value] : fields)
    if (name != "time_us" && name != "row_id" && name != "source" && name != "sm_clock_mhz" && name != kCountersColumn)
      text += name + '=' + value + '|';
  return text;
}

class Importer {
 public:
  Importer(const ImportOptions& options, const KernelNames& names, Recording recording)
      : options_(options), names_(names), recording_(std::move(recording)) {}

  Imported run(std::string_view format) {
    result_.format = format;
    result_.notes = recording_.notes;
    result_.launches = static_cast<int>(recording_.kernels.size() + recording_.rejected.size());
    for (const Rejected& rejected : recording_.rejected) reject(rejected.reason, rejected.place, rejected.what, 0);
    for (const KernelRecord& kernel : recording_.kernels) take(kernel);
    for (const Pending& pending : pending_) finish(pending);
    merge();
    std::stable_sort(result_.unmatched.begin(), result_.unmatched.end(),
                     [](const UnmatchedReason& a, const UnmatchedReason& b) { return a.count > b.count; });
    return std::move(result_);
  }

 private:
  struct Pending {
    const KernelRecord* kernel;
    std::string library, label;
    RowFields fields;
    double time_us, end_us;
    std::map<std::string, double> counters;
  };

  void reject(const std::string& reason, const std::string& place, const std::string& name, double time_us) {
    auto found =
        std::find_if(result_.unmatched.begin(), result_.unmatched.end(), [&](const UnmatchedReason& u) { return u.reason == reason; });
    if (found == result_.unmatched.end()) found = result_.unmatched.insert(found, {reason, 0, 0, {}});
    ++found->count;
    found->time_us += time_us;
    if (found->examples.size() < 3) found->examples.push_back(place + ": " + (name.empty() ? "(no name)" : shown(name)));
  }

  void take(const KernelRecord& kernel) {
    static const KernelRule kOwn;  // of a table that says itself what its rows are
    const KernelRule* rule = names_.find(kernel.name);
    if (rule == nullptr && (!get(kernel.fields, "library").empty() || result_.format == "csv")) rule = &kOwn;
    if (rule == nullptr) return reject("no rule for this kernel name", kernel.place, kernel.name, kernel.time_us);
    if (rule->role == KernelRole::other) return reject(rule->why, kernel.place, kernel.name, kernel.time_us);
    if (rule->role == KernelRole::part) return add_part(*rule, kernel);
    RowFields fields = options_.set;
    fields.merge(RowFields(kernel.fields));
    std::string problem;
    fields.merge(fields_of_operators(names_, kernel.operators, problem));
    fields.merge(fields_of_name(*rule, kernel.name));
    const auto fallback = [&](const char* name, const std::string& value) {
      if (!value.empty()) fields.try_emplace(name, value);
    };
    fallback("library", rule->library);
    fallback("kernel", rule->kernel);
    fallback("phase", rule->phase);
    fallback("harness", recording_.harness);
    fallback("device", kernel.device);
    if (!options_.device.empty()) fields["device"] = options_.device;
    if (!get(fields, "device").empty()) fields["device"] = names_.device(fields["device"]);
    if (kernel.sm_clock_mhz > 0) fallback("sm_clock_mhz", fmt::format("{:.6g}", kernel.sm_clock_mhz));
    if (!problem.empty()) fields["problem"] = problem;
    pending_.push_back({&kernel, get(fields, "library"), get(fields, "kernel"), std::move(fields), kernel.time_us,
                        kernel.start_us + kernel.time_us, kernel.counters});
  }

  // With start times the row lasts until the part has ended, the gap between them included.
  void add_part(const KernelRule& rule, const KernelRecord& kernel) {
    for (auto main = pending_.rbegin(); main != pending_.rend(); ++main) {
      if (main->kernel->stream != kernel.stream) continue;
      const KernelRule* its_rule = names_.find(main->kernel->name);
      if (its_rule == nullptr || its_rule->kernel != rule.of) break;
      add_counters(main->counters, main->time_us, kernel);
      const bool told = kernel.start_us >= main->end_us && main->kernel->start_us >= 0;
      main->time_us = told ? kernel.start_us + kernel.time_us - main->kernel->start_us : main->time_us + kernel.time_us;
      main->end_us = kernel.start_us + kernel.time_us;
      ++result_.parts;
      return;
    }
    reject("part of a " + rule.of + " kernel, but none stands before it on its stream", kernel.place, kernel.name, kernel.time_us);
  }

  // As predictions combine kernels: sums add up, percentages weigh by time, others stay those of the main kernel.
  static void add_counters(std::map<std::string, double>& counters, double time_us, const KernelRecord& part) {
    for (auto& [name, value] : counters) {
      const auto found = part.counters.find(name);
      if (found == part.counters.end()) continue;
      if (name.ends_with(".sum")) value += found->second;
      if (name.find("pct") != std::string::npos) value = (value * time_us + found->second * part.time_us) / (time_us + part.time_us);
    }
  }

  void finish(const Pending& pending) {
    RowFields fields = pending.fields;
    const std::string problem = get(fields, "problem");
    fields.erase("problem");
    complete(fields);
    const std::string missing = missing_of(fields);
    if (!missing.empty()) {
      const std::string hint = !problem.empty() ? problem : "--device and --shape say what the file does not";
      return reject(fmt::format("not known: {} ({})", missing, hint), pending.kernel->place, pending.kernel->name, pending.time_us);
    }
    fields["time_us"] = fmt::format("{:.6g}", pending.time_us);
    fields["samples"] = "1";
    fields[std::string(kCountersColumn)] = counters_cell(pending.counters);
    fields["source"] = options_.file.filename().string() + " " + pending.kernel->place;
    for (const std::string_view column : kRowColumns) fields.try_emplace(std::string(column), "");
    const std::string bad = problem_of(fields);
    if (!bad.empty()) return reject(bad, pending.kernel->place, pending.kernel->name, pending.time_us);
    auto matched = std::find_if(result_.matched.begin(), result_.matched.end(),
                                [&](const MatchedKernel& m) { return m.library == pending.library && m.kernel == pending.label; });
    if (matched == result_.matched.end()) matched = result_.matched.insert(matched, {pending.library, pending.label, 0, 0});
    ++matched->launches;
    matched->time_us += pending.time_us;
    result_.rows.push_back(std::move(fields));
  }

  // The reader of the finished table decides what a row is.
  [[nodiscard]] static std::string problem_of(const RowFields& fields) {
    try {
      static_cast<void>(read_row_table(parse_csv(rows_csv({fields}), "row")));
      return "";
    } catch (const ConfigError& error) {
      const ConfigIssue& issue = error.issues().front();
      const std::size_t column = issue.pointer.rfind("column ");
      return fmt::format("{}: {} {}{}", column == std::string::npos ? issue.pointer : issue.pointer.substr(column), issue.value,
                         issue.problem, issue.allowed.empty() ? "" : "; allowed: " + issue.allowed);
    }
  }

  void merge() {
    std::vector<RowFields> merged;
    std::map<std::string, std::size_t> row_of;
    std::vector<std::vector<double>> times, clocks;
    std::vector<std::map<std::string, std::vector<double>>> counters;
    for (RowFields& row : result_.rows) {
      const auto [slot, fresh] = options_.merge ? row_of.try_emplace(identity_of(row), merged.size()) : std::pair{row_of.end(), true};
      if (fresh) {
        merged.push_back(row);
        times.emplace_back();
        clocks.emplace_back();
        counters.emplace_back();
      }
      const std::size_t i = fresh ? merged.size() - 1 : slot->second;
      times[i].push_back(std::stod(row["time_us"]));
      for (const auto& [name, value] : read_counters_cell(row[std::string(kCountersColumn)])) counters[i][name].push_back(value);
      if (!row["sm_clock_mhz"].empty()) clocks[i].push_back(std::stod(row["sm_clock_mhz"]));
    }
    for (std::size_t i = 0; i < merged.size(); ++i) {
      merged[i]["time_us"] = fmt::format("{:.6g}", *quantile(times[i], 0.5));
      if (!clocks[i].empty()) merged[i]["sm_clock_mhz"] = fmt::format("{:.6g}", *quantile(clocks[i], 0.5));
      std::map<std::string, double> medians;
      for (const auto& [name, values] : counters[i]) medians[name] = *quantile(values, 0.5);
      merged[i][std::string(kCountersColumn)] = counters_cell(medians);
      merged[i]["samples"] = std::to_string(times[i].size());
      if (merged[i]["row_id"].empty()) merged[i]["row_id"] = fmt::format("row-{}", i + 1);
    }
    result_.rows = std::move(merged);
  }

  const ImportOptions& options_;
  const KernelNames& names_;
  Recording recording_;
  std::vector<Pending> pending_;
  Imported result_;
};

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace

std::span<const ImportFormat> import_formats() {
  return kFormats;
}

int Imported::unmatched_count() const {
  int count = 0;
  for (const UnmatchedReason& reason : unmatched) count += reason.count;
  return count;
}

Imported import_rows(const ImportOptions& options) {
  for (const auto& [name, value] : options.set) {
    if (std::find(kRowColumns.begin(), kRowColumns.end(), name) != kRowColumns.end()) continue;
    const std::vector<std::string> columns(kRowColumns.begin(), kRowColumns.end());
    throw ConfigError(
        {"command line", "--shape", '"' + name + '"', "is no column of a row", json_text::joined(columns), nearest_name(name, columns)});
  }
  const std::string text = read_file(options.file);
  const ImportFormat& format = choose_format(options, text);
  const KernelNames names = KernelNames::load();
  return Importer(options, names, format.read(text, options.file.filename().string())).run(format.name);
}

std::string rows_csv(const std::vector<RowFields>& rows) {
  std::vector<std::string_view> columns(kRowColumns.begin(), kRowColumns.end());
  if (std::any_of(rows.begin(), rows.end(), [](const RowFields& row) { return !get(row, kCountersColumn).empty(); }))
    columns.push_back(kCountersColumn);
  std::string text = fmt::format("{}\n", fmt::join(columns, ","));
  for (const RowFields& row : rows) {
    std::vector<std::string> cells;
    for (const std::string_view column : columns) cells.push_back(quoted(get(row, column)));
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
}

}  // namespace attnsim
