// SPDX-License-Identifier: Apache-2.0
// The table that NATTEN's profiler prints:
//   | Framework | Kernel category | Arch | Operation | # calls | Runtime |
// with box-drawing or ASCII lines. A runtime counts all calls of its line. Other tables of the same output (best configuration) and the
// total are passed over. The table states no shape: --shape says it.
#include <fmt/format.h>

#include <sstream>

#include "sim/core/error.h"
#include "validation/import/number_text.h"
#include "validation/import/recording.h"

namespace attnsim {

namespace {

// Cells of one line between vertical bars of any drawing; empty for what is no line of a table.
std::vector<std::string> cells_of(std::string line) {
  for (const std::string bar : {"\xE2\x94\x82", "\xE2\x94\x83"})  // U+2502, U+2503
    for (std::size_t at = line.find(bar); at != std::string::npos; at = line.find(bar, at)) line.replace(at, bar.size(), "|");
  line = trimmed(line);
  if (line.size() < 2 || line.front() != '|') return {};
  std::vector<std::string> cells;
  for (std::size_t at = 1; at < line.size();) {
    const std::size_t end = std::min(line.find('|', at), line.size());
    cells.push_back(trimmed(line.substr(at, end - at)));
    at = end + 1;
  }
  return cells;
}

bool is_head(const std::vector<std::string>& cells) {
  return cells.size() == 6 && cells[0] == "Framework" && cells[3] == "Operation" && cells[5] == "Runtime";
}

void read_line(const std::vector<std::string>& cells, const std::string& place, Recording& recording) {
  const std::string& operation = cells[3];
  const std::optional<double> runtime = duration_us(cells[5]);
  const std::optional<double> calls = number_of(cells[4]);
  if (!runtime || !calls || *calls < 1) {
    recording.rejected.push_back({place, operation, fmt::format("calls \"{}\" and runtime \"{}\" make no time", cells[4], cells[5])});
    return;
  }
  KernelRecord kernel;
  kernel.place = place;
  kernel.name = operation;
  kernel.time_us = *runtime / *calls;
  if (cells[2] != "-") kernel.fields["version"] = cells[2];
  if (cells[1] != "attention") {
    recording.rejected.push_back({place, operation, fmt::format("kernel category {}: no attention kernel", cells[1])});
    return;
  }
  recording.kernels.push_back(std::move(kernel));
}

}  // namespace

bool is_natten_table(std::string_view text) {
  return text.find("Kernel category") != std::string_view::npos && text.find("# calls") != std::string_view::npos;
}

Recording read_natten_table(const std::string& text, const std::string& file) {
  Recording recording;
  recording.harness = "profiler-kernel";
  std::istringstream lines(text);
  bool inside = false, found = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::vector<std::string> cells = cells_of(line);
    if (is_head(cells)) {
      inside = found = true;
    } else if (cells.size() != 6) {
      const bool rule = line.find_first_not_of(" \t\r") == std::string::npos || !cells.empty();
      if (rule) inside = false;
    } else if (inside && cells[3] != "Total") {
      read_line(cells, fmt::format("line {}", number), recording);
    }
  }
  if (!found)
    throw ConfigError(
        {file, "", "", "holds no table of NATTEN's profiler", "columns Framework, Kernel category, Arch, Operation, # calls, Runtime", ""});
  return recording;
}

}  // namespace attnsim
