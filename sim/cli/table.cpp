// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace attnsim::cli {

namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 20;  // of a wrapped column

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::string rest = text;
  while (rest.size() > width) {
    std::size_t cut = rest.rfind(' ', width);
    if (cut == std::string::npos || cut == 0) cut = std::min(rest.find(' '), rest.size());
    lines.push_back(rest.substr(0, cut));
    rest = cut < rest.size() ? rest.substr(cut + 1) : "";
  }
  if (!rest.empty() || lines.empty()) lines.push_back(rest);
  return lines;
}

void trim_right(std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
}

}  // namespace

TextTable::TextTable(std::vector<std::string> header) {
  for (std::string& cell : header) {
    right_.push_back(!cell.empty() && cell.front() == '>');
    if (right_.back()) cell.erase(0, 1);
  }
  rows_.push_back(std::move(header));
}

void TextTable::add(std::vector<std::string> row) {
  row.resize(right_.size());
  rows_.push_back(std::move(row));
}

std::string TextTable::render(std::size_t indent, std::size_t width) const {
  std::vector<std::size_t> widths(right_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  std::size_t before = indent;
  for (std::size_t c = 0; c + 1 < widths.size(); ++c) before += widths[c] + kGap;
  const std::size_t last = right_.back() ? widths.back() : std::max(kNarrowest, width > before ? width - before : 0);
  std::string text;
  for (const auto& row : rows_) {
    std::string line(indent, ' ');
    for (std::size_t c = 0; c + 1 < row.size(); ++c) {
      const std::string pad(widths[c] - row[c].size(), ' ');
      line += (right_[c] ? pad + row[c] : row[c] + pad) + std::string(kGap, ' ');
    }
    for (const std::string& part : wrapped(row.back(), last)) {
      line += (right_.back() ? std::string(last - std::min(last, part.size()), ' ') : "") + part;
      trim_right(line);
      text += line + '\n';
      line.assign(before, ' ');
    }
  }
  return text;
}

std::string microseconds(std::optional<double> us) {
  if (!us || !std::isfinite(*us)) return "-";
  const double size = std::abs(*us);
  if (size >= 1e6) return fmt::format("{:.3f} s ", *us * 1e-6);
  if (size >= 1e4) return fmt::format("{:.2f} ms", *us * 1e-3);
  return fmt::format("{:.{}f} us", *us, size >= 100 ? 1 : size >= 1 ? 2 : 3);
}

std::string times(std::optional<double> factor) {
  if (!factor || !std::isfinite(*factor)) return "-";
  return fmt::format("{:.2f}x", *factor);
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "-";
  return fmt::format("{:.1f} %", fraction * 100);
}

std::string engineering(double value) {
  constexpr std::array<const char*, 6> kPrefixes{"", "k", "M", "G", "T", "P"};
  std::size_t step = 0;
  while (std::abs(value) >= 1000 && step + 1 < kPrefixes.size()) {
    value /= 1000;
    ++step;
  }
  return step == 0 ? fmt::format("{:g}", value) : fmt::format("{:.3g} {}", value, kPrefixes[step]);
}

}  // namespace attnsim::cli
