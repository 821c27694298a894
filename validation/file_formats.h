// SPDX-License-Identifier: Apache-2.0
// The measurement files that validate knows, by name: one line of a table per file, one function per format.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "validation/csv.h"
#include "validation/row.h"

namespace attnsim {

struct FileFormat {
  std::string_view file;
  std::string_view description;
  std::vector<MeasuredRow> (*read)(const CsvTable& table);  // throws ConfigError
};
[[nodiscard]] std::span<const FileFormat> file_formats();

struct Measurements {
  std::vector<MeasuredRow> rows;     // files in table order, rows in file order
  std::vector<std::string> files;    // that were read
  std::vector<std::string> ignored;  // CSV files of the folder that no format knows or `only` leaves out, sorted
};
// Reads every known file of a folder, any subset of them, and after them tables as rows_format.h has them, by name. `only`: file names to
// read, empty for all; one that is absent is an error. Throws ConfigError if the folder does not exist or holds no known file.
[[nodiscard]] Measurements read_measurements(const std::filesystem::path& folder, const std::vector<std::string>& only = {});

// The same from a list of names in `folder` and of paths; the folder need not exist where every one is a path to a file.
[[nodiscard]] Measurements read_measurement_files(const std::filesystem::path& folder, const std::vector<std::string>& names_and_paths);

// The formats, one function each.
[[nodiscard]] std::vector<MeasuredRow> read_library_attention(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_fa3_locked(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_attention_published(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_natten_profiler(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_gemm(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_operators(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_linear_attention(const CsvTable& table);
[[nodiscard]] std::vector<MeasuredRow> read_distributed(const CsvTable& table);

}  // namespace attnsim
