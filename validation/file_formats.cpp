// SPDX-License-Identifier: Apache-2.0
#include "validation/file_formats.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "validation/rows_format.h"

namespace attnsim {

namespace {

constexpr std::array<FileFormat, 8> kFormats{{
    {"fa3_h100_locked_clock.csv", "FA3 forward at a locked clock, isolated kernel durations", read_fa3_locked},
    {"library_attention.csv", "attention calls of an inference library, CUDA-graph replays", read_library_attention},
    {"attention_published.csv", "forward, backward and decode timings from public tables", read_attention_published},
    {"natten_profiler.csv", "neighbourhood attention kernels and dense baselines, profiler times", read_natten_profiler},
    {"linear_attention.csv", "linear attention kernels (no mapping yet)", read_linear_attention},
    {"operators_a100.csv", "GEMM, softmax, layernorm (no mapping yet)", read_operators},
    {"gemm.csv", "library GEMM (no mapping yet)", read_gemm},
    {"distributed.csv", "collectives and ring attention (no mapping yet)", read_distributed},
}};

std::string joined_formats() {
  std::string text;
  for (const FileFormat& format : kFormats) text += std::string(format.file) + ", ";
  return text + "a table as attnsim import writes it";
}

std::vector<std::string> csv_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) throw ConfigError({folder.string(), "", "", "is no folder that can be read", "a folder with measurement files", ""});
  std::vector<std::string> names;
  for (const auto& entry : entries)
    if (entry.path().extension() == ".csv") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_known(const std::string& name) {
  return std::any_of(kFormats.begin(), kFormats.end(), [&](const FileFormat& format) { return format.file == name; });
}

// The first line alone: a folder may hold large files of other kinds.
bool has_row_header(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string line;
  if (!std::getline(stream, line)) return false;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  try {
    return is_row_table(parse_csv(line, path.filename().string()).header);
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace

std::span<const FileFormat> file_formats() {
  return kFormats;
}

Measurements read_measurements(const std::filesystem::path& folder, const std::vector<std::string>& only) {
  const std::vector<std::string> present = csv_files(folder);
  std::vector<ConfigIssue> issues;
  for (const std::string& name : only) {
    const bool here = contains(present, name);
    if (!here || !(is_known(name) || has_row_header(folder / name)))
      issues.push_back({folder.string(), "--file", '"' + name + '"', here ? "is no file whose format is known" : "is not in this folder",
                        joined_formats(), nearest_name(name, present)});
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));

  Measurements measurements;
  for (const FileFormat& format : kFormats) {
    const std::string name(format.file);
    if (!contains(present, name) || (!only.empty() && !contains(only, name))) continue;
    measurements.files.push_back(name);
    std::vector<MeasuredRow> rows = format.read(read_csv(folder / name));
    measurements.rows.insert(measurements.rows.end(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  }
  for (const std::string& name : present) {
    const bool wanted = only.empty() || contains(only, name);
    if (is_known(name) || !wanted || !has_row_header(folder / name)) continue;
    measurements.files.push_back(name);
    std::vector<MeasuredRow> rows = read_row_table(read_csv(folder / name));
    measurements.rows.insert(measurements.rows.end(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  }
  for (const std::string& name : present)
    if (!contains(measurements.files, name)) measurements.ignored.push_back(name);
  if (measurements.files.empty()) throw ConfigError({folder.string(), "", "", "holds no file whose format is known", joined_formats(), ""});
  return measurements;
}

Measurements read_measurement_files(const std::filesystem::path& folder, const std::vector<std::string>& names_and_paths) {
  std::vector<std::string> names;
  Measurements all;
  for (const std::string& text : names_and_paths) {
    const std::filesystem::path path(text);
    std::error_code error;
    const bool is_path = path.has_parent_path() || (!std::filesystem::exists(folder / path, error) && std::filesystem::exists(path, error));
    if (!is_path) {
      names.push_back(text);
      continue;
    }
    Measurements one = read_measurements(path.has_parent_path() ? path.parent_path() : ".", {path.filename().string()});
    all.files.push_back(one.files.front());
    all.rows.insert(all.rows.end(), std::make_move_iterator(one.rows.begin()), std::make_move_iterator(one.rows.end()));
  }
  if (!names.empty() || names_and_paths.empty()) {
    Measurements rest = read_measurements(folder, names);
    all.files.insert(all.files.begin(), rest.files.begin(), rest.files.end());
    all.rows.insert(all.rows.begin(), std::make_move_iterator(rest.rows.begin()), std::make_move_iterator(rest.rows.end()));
    all.ignored = std::move(rest.ignored);
  }
  return all;
}

}  // namespace attnsim
