// SPDX-License-Identifier: Apache-2.0
#include "validation/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

namespace attnsim {

namespace {

std::string place(int line, std::string_view column = "") {
  std::string text = "line " + std::to_string(line);
  if (!column.empty()) text += ", column " + std::string(column);
  return text;
}

std::string shown(const std::string& value) {
  constexpr std::size_t kShown = 40;
  return '"' + (value.size() > kShown ? value.substr(0, kShown) + "..." : value) + '"';
}

// One pass over the text: fields of one record after the other.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file) : text_(text), file_(file) {}
  [[nodiscard]] bool at_end() const { return position_ >= text_.size(); }

  CsvRecord record() {
    CsvRecord record{line_, {}};
    for (;;) {
      record.fields.push_back(field());
      if (at_end()) return record;
      const char separator = text_[position_++];
      if (separator == ',') continue;
      if (separator == '\r' && !at_end() && text_[position_] == '\n') ++position_;
      ++line_;
      return record;
    }
  }

 private:
  std::string field() {
    if (at_end() || text_[position_] != '"') {
      const std::size_t end = std::min(text_.find_first_of(",\r\n", position_), text_.size());
      std::string value(text_.substr(position_, end - position_));
      position_ = end;
      return value;
    }
    const int start = line_;
    std::string value;
    for (++position_; !at_end(); ++position_) {
      if (text_[position_] == '\n') ++line_;
      if (text_[position_] == '"') {
        if (position_ + 1 >= text_.size() || text_[position_ + 1] != '"') return close_quote(std::move(value), start);
        ++position_;
      }
      value += text_[position_];
    }
    throw ConfigError({file_, place(start), "", "a quoted field is not closed", "", ""});
  }

  std::string close_quote(std::string value, int start) {
    ++position_;
    if (!at_end() && std::string_view(",\r\n").find(text_[position_]) == std::string_view::npos)
      throw ConfigError({file_, place(start), shown(value), "is followed by text after its closing quote", "", ""});
    return value;
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t position_ = 0;
  int line_ = 1;
};

}  // namespace

CsvTable parse_csv(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Scanner scanner(text, file);
  CsvTable table{file, {}, {}};
  if (scanner.at_end()) throw ConfigError({file, place(1), "", "the file is empty", "a header line", ""});
  table.header = scanner.record().fields;
  std::vector<ConfigIssue> issues;
  for (std::size_t i = 0; i < table.header.size(); ++i)
    if (std::find(table.header.begin(), table.header.begin() + static_cast<std::ptrdiff_t>(i), table.header[i]) !=
        table.header.begin() + static_cast<std::ptrdiff_t>(i))
      issues.push_back({file, place(1), shown(table.header[i]), "is the name of two columns", "", ""});
  while (!scanner.at_end()) {
    CsvRecord record = scanner.record();
    if (record.fields.size() == 1 && record.fields[0].empty()) continue;
    if (record.fields.size() != table.header.size())
      issues.push_back({file, place(record.line), std::to_string(record.fields.size()) + " fields",
                        "where the header has " + std::to_string(table.header.size()), "", ""});
    table.records.push_back(std::move(record));
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return table;
}

CsvTable read_csv(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream) throw ConfigError({path.string(), "", "", "can't be read", "a CSV file", ""});
  return parse_csv(text.view(), path.filename().string());
}

void require_columns(const CsvTable& table, std::span<const std::string_view> columns) {
  std::vector<ConfigIssue> issues;
  for (const std::string_view column : columns)
    if (std::find(table.header.begin(), table.header.end(), column) == table.header.end())
      issues.push_back({table.file, place(1, column), "", "the column is missing", "", nearest_name(std::string(column), table.header)});
  if (!issues.empty()) throw ConfigError(std::move(issues));
}

std::size_t CsvReader::index_of(std::string_view column) const {
  const auto found = std::find(table_.header.begin(), table_.header.end(), column);
  require(found != table_.header.end(), "a column is read that was not required");
  return static_cast<std::size_t>(found - table_.header.begin());
}

const std::string& CsvReader::text(std::string_view column) const {
  return record_->fields[index_of(column)];
}

void CsvReader::issue(std::string_view column, const std::string& problem, const std::string& allowed) {
  constexpr std::size_t kMostIssues = 20;  // of a file in a wrong format every field is bad
  if (issues_.size() < kMostIssues)
    issues_.push_back({table_.file, place(record_->line, column), shown(text(column)), problem, allowed, ""});
}

double CsvReader::number(std::string_view column, bool zero_allowed) {
  const std::string& field = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  const std::string allowed = zero_allowed ? "a number >= 0" : "a number > 0";
  if (error == std::errc::result_out_of_range) {
    issue(column, "is out of range", allowed);
  } else if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value)) {
    issue(column, "is no number", allowed);
  } else if (value < 0 || (value == 0 && !zero_allowed)) {
    issue(column, "is too small", allowed);
  } else {
    return value;
  }
  return 0;
}

double CsvReader::positive(std::string_view column) {
  return number(column, false);
}

double CsvReader::non_negative(std::string_view column) {
  return text(column).empty() ? 0 : number(column, true);
}

std::int64_t CsvReader::integer(std::string_view column, std::int64_t min, std::int64_t max) {
  const std::string& field = text(column);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  const std::string allowed = "an integer from " + std::to_string(min) + " to " + std::to_string(max);
  if (error == std::errc::invalid_argument || end != field.data() + field.size()) {
    issue(column, "is no integer", allowed);
  } else if (error != std::errc() || value < min || value > max) {
    issue(column, "is out of range", allowed);
  } else {
    return value;
  }
  return min;
}

bool CsvReader::flag(std::string_view column) {
  return integer(column, 0, 1) == 1;
}

void CsvReader::finish() const {
  if (!issues_.empty()) throw ConfigError(issues_);
}

}  // namespace attnsim
