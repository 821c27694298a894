// SPDX-License-Identifier: Apache-2.0
#include "validation/file_formats.h"

#include <algorithm>
#include <array>

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
  for (const FileFormat& format : kFormats) text += (text.empty() ? "" : ", ") + std::string(format.file);
  return text;
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

}  // namespace

std::span<const FileFormat> file_formats() {
  return kFormats;
}

Measurements read_measurements(const std::filesystem::path& folder, const std::vector<std::string>& only) {
  const std::vector<std::string> present = csv_files(folder);
  std::vector<ConfigIssue> issues;
  for (const std::string& name : only) {
    const bool known = std::any_of(kFormats.begin(), kFormats.end(), [&](const FileFormat& f) { return f.file == name; });
    if (!known || !contains(present, name))
      issues.push_back({folder.string(), "--file", '"' + name + '"', known ? "is not in this folder" : "is no file whose format is known",
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
  for (const std::string& name : present)
    if (!contains(measurements.files, name)) measurements.ignored.push_back(name);
  if (measurements.files.empty()) throw ConfigError({folder.string(), "", "", "holds no file whose format is known", joined_formats(), ""});
  return measurements;
}

}  // namespace attnsim
