// SPDX-License-Identifier: Apache-2.0
// Strict reading of CSV files with a header line. Quoted fields may hold commas, doubled quotes and line breaks. Every problem names
// file, line and column:
//   library_attention.csv: line 7, column latency_us: "12,5" is no number; allowed: a number > 0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"

namespace attnsim {

struct CsvRecord {
  int line = 0;                     // 1 is the header
  std::vector<std::string> fields;  // as many as the header has
};

struct CsvTable {
  std::string file;  // name without folder
  std::vector<std::string> header;
  std::vector<CsvRecord> records;
};

// Throws ConfigError: missing file, no header, a column named twice, a record with too few or too many fields, an open quote.
[[nodiscard]] CsvTable read_csv(const std::filesystem::path& path);
[[nodiscard]] CsvTable parse_csv(std::string_view text, const std::string& file);
// Throws ConfigError that lists all columns that the header lacks, each with the nearest present name.
void require_columns(const CsvTable& table, std::span<const std::string_view> columns);

// Reads the fields of one record by column name. A bad field adds an issue and reads as 0, so that all issues come at once.
class CsvReader {
 public:
  explicit CsvReader(const CsvTable& table) : table_(table) {}
  void select(const CsvRecord& record) { record_ = &record; }

  [[nodiscard]] const std::string& text(std::string_view column) const;
  double positive(std::string_view column);      // a finite number > 0
  double non_negative(std::string_view column);  // a finite number >= 0; 0 when the field is empty
  std::int64_t integer(std::string_view column, std::int64_t min, std::int64_t max);
  bool flag(std::string_view column);  // 0 or 1
  void issue(std::string_view column, const std::string& problem, const std::string& allowed);

  void finish() const;  // throws ConfigError if there is any issue

 private:
  [[nodiscard]] std::size_t index_of(std::string_view column) const;
  double number(std::string_view column, bool zero_allowed);

  const CsvTable& table_;
  const CsvRecord* record_ = nullptr;
  std::vector<ConfigIssue> issues_;
};

}  // namespace attnsim
