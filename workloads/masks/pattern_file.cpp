// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/pattern_file.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

constexpr std::int64_t kMostBlocks = std::int64_t{1} << 20;  // along either side

class PatternFile {
 public:
  PatternFile(std::string path, std::string pointer) : path_(std::move(path)), pointer_(std::move(pointer)) {}

  std::vector<std::shared_ptr<const BlockPattern>> load() const {
    if (ends_with(".json")) return from_json();
    return ends_with(".npy") ? from_npy() : from_runs();
  }

 private:
  [[nodiscard]] bool ends_with(const std::string& end) const {
    return path_.size() >= end.size() && path_.compare(path_.size() - end.size(), end.size(), end) == 0;
  }

  [[noreturn]] void fail(const std::string& place, const std::string& problem, const std::string& allowed = "") const {
    throw ConfigError(
        ConfigIssue{"", pointer_, fmt::format("\"{}\"", path_), place.empty() ? problem : place + ": " + problem, allowed, ""});
  }

  [[nodiscard]] std::ifstream open() const {
    std::ifstream in(path_, std::ios::binary);
    if (!in) fail("", "can't be read");
    return in;
  }

  // Checks a run against the one before it.
  void take(std::vector<Range>& row, std::int64_t first, std::int64_t count, std::int64_t columns, const std::string& place) const {
    if (count < 1) fail(place, fmt::format("a run of {} blocks", count), "1 or more");
    const std::int64_t from = row.empty() ? 0 : row.back().end;
    if (first < from || first > columns - count) {
      fail(place, fmt::format("blocks {} to {}", first, first + count - 1), fmt::format("{} to {}, runs ascending", from, columns - 1));
    }
    if (!row.empty() && row.back().end == first) {
      row.back().end += count;
    } else {
      row.push_back({first, first + count});
    }
  }

  void check_size(std::int64_t size, const std::string& what, const std::string& place) const {
    if (size < 1 || size > kMostBlocks) fail(place, fmt::format("{} {}", size, what), fmt::format("1 to {}", kMostBlocks));
  }

  [[nodiscard]] std::vector<std::shared_ptr<const BlockPattern>> from_json() const {
    const JsonDocument document = read_json_file(path_);
    const Json& root = document.root;
    const auto size = [&](const char* key) {
      if (!root.is_object() || !root.contains(key) || !root[key].is_number_integer())
        fail(fmt::format("/{}", key), "is no number of blocks");
      const std::int64_t n = root[key].get<std::int64_t>();
      check_size(n, "blocks", fmt::format("/{}", key));
      return n;
    };
    const std::int64_t rows = size("rows");
    const std::int64_t columns = size("columns");
    if (!root.contains("heads") || !root["heads"].is_array() || root["heads"].empty()) fail("/heads", "is no list of heads");
    std::vector<std::shared_ptr<const BlockPattern>> heads;
    for (std::size_t h = 0; h < root["heads"].size(); ++h) {
      const Json& head = root["heads"][h];
      if (!head.is_array() || static_cast<std::int64_t>(head.size()) != rows) {
        fail(fmt::format("/heads/{}", h), fmt::format("has {} block rows", head.is_array() ? head.size() : 0), std::to_string(rows));
      }
      auto pattern = std::make_shared<BlockPattern>(rows, columns);
      for (std::size_t r = 0; r < head.size(); ++r) {
        std::vector<Range> row;
        if (!head[r].is_array()) fail(fmt::format("/heads/{}/{}", h, r), "is no list of runs", "[[first, count], ...]");
        for (std::size_t i = 0; i < head[r].size(); ++i) {
          const Json& run = head[r][i];
          const std::string place = fmt::format("/heads/{}/{}/{}", h, r, i);
          const bool pair = run.is_array() && run.size() == 2 && run[0].is_number_integer() && run[1].is_number_integer();
          if (!pair) fail(place, "is no run", "[first, count]");
          take(row, run[0].get<std::int64_t>(), run[1].get<std::int64_t>(), columns, place);
        }
        pattern->add_row(row);
      }
      heads.push_back(std::move(pattern));
    }
    return heads;
  }

  // NumPy's format 1.0 to 3.0: magic, version, length of the header, a header in Python's notation.
  [[nodiscard]] std::vector<std::shared_ptr<const BlockPattern>> from_npy() const {
    std::ifstream in = open();
    char magic[8] = {};
    in.read(magic, 8);
    if (!in || std::memcmp(magic, "\x93NUMPY", 6) != 0) fail("byte 0", "is no NumPy file");
    const int length_bytes = magic[6] == 1 ? 2 : 4;
    std::uint32_t length = 0;
    for (int i = 0; i < length_bytes; ++i) length |= static_cast<std::uint32_t>(static_cast<unsigned char>(in.get())) << (8 * i);
    if (!in || length > 65536) fail("byte 8", "has no header");
    std::string header(length, ' ');
    in.read(header.data(), static_cast<std::streamsize>(length));
    if (!in) fail("byte 10", "ends inside its header");
    const std::string type = quoted_after(header, "'descr'");
    if (type != "|b1" && type != "|u1" && type != "|i1")
      fail("header", fmt::format("elements of type {}", type), "|b1, |u1, |i1 (bool or 8-bit)");
    if (header.find("'fortran_order': False") == std::string::npos) fail("header", "is in Fortran order", "C order");
    const std::vector<std::int64_t> shape = shape_in(header);
    if (shape.size() != 2 && shape.size() != 3)
      fail("header", fmt::format("has {} dimensions", shape.size()), "[rows, columns] or [heads, rows, columns]");
    const std::int64_t heads = shape.size() == 3 ? shape[0] : 1;
    const std::int64_t rows = shape[shape.size() - 2];
    const std::int64_t columns = shape.back();
    check_size(heads, "heads", "header");
    check_size(rows, "block rows", "header");
    check_size(columns, "block columns", "header");
    std::vector<std::shared_ptr<const BlockPattern>> patterns;
    std::vector<char> cells(static_cast<std::size_t>(columns));
    for (std::int64_t h = 0; h < heads; ++h) {
      auto pattern = std::make_shared<BlockPattern>(rows, columns);
      for (std::int64_t r = 0; r < rows; ++r) {
        in.read(cells.data(), static_cast<std::streamsize>(columns));
        if (!in) fail(fmt::format("head {}, block row {}", h, r), "the file ends before its last element");
        std::vector<Range> row;
        for (std::int64_t c = 0; c < columns; ++c) {
          if (cells[static_cast<std::size_t>(c)] != 0) take(row, c, 1, columns, "");
        }
        pattern->add_row(row);
      }
      patterns.push_back(std::move(pattern));
    }
    return patterns;
  }

  [[nodiscard]] std::string quoted_after(const std::string& text, const std::string& key) const {
    const std::size_t at = text.find(key);
    const std::size_t begin = at == std::string::npos ? at : text.find('\'', at + key.size());
    const std::size_t end = begin == std::string::npos ? begin : text.find('\'', begin + 1);
    if (end == std::string::npos) fail("header", fmt::format("lacks {}", key));
    return text.substr(begin + 1, end - begin - 1);
  }

  [[nodiscard]] std::vector<std::int64_t> shape_in(const std::string& header) const {
    const std::size_t at = header.find("'shape'");
    const std::size_t begin = at == std::string::npos ? at : header.find('(', at);
    const std::size_t end = begin == std::string::npos ? begin : header.find(')', begin);
    if (end == std::string::npos) fail("header", "lacks 'shape'");
    std::istringstream in(header.substr(begin + 1, end - begin - 1));
    std::vector<std::int64_t> shape;
    std::int64_t extent = 0;
    char comma = ',';
    while (in >> extent) {
      shape.push_back(extent);
      in >> comma;
    }
    return shape;
  }

  [[nodiscard]] std::vector<std::shared_ptr<const BlockPattern>> from_runs() const {
    std::ifstream in = open();
    std::string line;
    std::int64_t number = 0;
    std::vector<std::int64_t> sizes;
    std::vector<std::shared_ptr<BlockPattern>> patterns;
    std::int64_t at_row = 0;  // over all heads
    std::vector<Range> row;
    const auto close_rows = [&](std::int64_t until) {
      for (; at_row < until; ++at_row) {
        patterns[static_cast<std::size_t>(at_row / sizes[0])]->add_row(row);
        row.clear();
      }
    };
    while (std::getline(in, line)) {
      ++number;
      const std::string place = fmt::format("line {}", number);
      const std::vector<std::int64_t> fields = numbers_of(line.substr(0, line.find('#')), place);
      if (fields.empty()) continue;
      if (sizes.empty()) {
        if (fields.size() != 3) fail(place, fmt::format("has {} numbers", fields.size()), "rows columns heads");
        for (const std::int64_t n : fields) check_size(n, "blocks or heads", place);
        sizes = fields;
        for (std::int64_t h = 0; h < sizes[2]; ++h) patterns.push_back(std::make_shared<BlockPattern>(sizes[0], sizes[1]));
        continue;
      }
      if (fields.size() != 4) fail(place, fmt::format("has {} numbers", fields.size()), "head row first count");
      if (fields[0] < 0 || fields[0] >= sizes[2]) fail(place, fmt::format("head {}", fields[0]), fmt::format("0 to {}", sizes[2] - 1));
      if (fields[1] < 0 || fields[1] >= sizes[0]) fail(place, fmt::format("block row {}", fields[1]), fmt::format("0 to {}", sizes[0] - 1));
      const std::int64_t wanted = fields[0] * sizes[0] + fields[1];
      if (wanted < at_row)
        fail(place, fmt::format("head {}, block row {} stands behind a later one", fields[0], fields[1]), "heads and rows ascending");
      close_rows(wanted);
      take(row, fields[2], fields[3], sizes[1], place);
    }
    if (sizes.empty()) fail("", "is empty", "a line `rows columns heads`, then lines `head row first count`");
    close_rows(sizes[0] * sizes[2]);
    return {patterns.begin(), patterns.end()};
  }

  [[nodiscard]] std::vector<std::int64_t> numbers_of(const std::string& line, const std::string& place) const {
    std::istringstream in(line);
    std::vector<std::int64_t> numbers;
    std::int64_t value = 0;
    while (in >> value) numbers.push_back(value);
    if (!in.eof()) {
      in.clear();
      std::string rest;
      in >> rest;
      fail(place, fmt::format("`{}` is no number", rest), "whole numbers");
    }
    return numbers;
  }

  std::string path_;
  std::string pointer_;
};

}  // namespace

std::vector<std::shared_ptr<const BlockPattern>> load_patterns(const std::string& path, const std::string& pointer) {
  return PatternFile(path, pointer).load();
}

}  // namespace attnsim
