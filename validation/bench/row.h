// SPDX-License-Identifier: Apache-2.0
// One timed problem with its whole context, as one line of JSON:
//   {"backend":"host","device":"...","kernel":"host-fa","source_hash":"...","shape":{...},"median_us":812.4,"samples_us":[...],...}
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/core/json_reader.h"
#include "validation/bench/backend.h"

namespace attnsim::bench {

struct Row {
  std::string backend;
  Device device;
  KernelInfo kernel;
  std::string source_hash;
  Shape shape;
  TimingPolicy policy;
  Timing timing;
  std::string harness;  // workloads/harnesses/NAME.json
  std::string version;  // of attnsim
  [[nodiscard]] double median_us() const;
};

[[nodiscard]] std::string to_line(const Row& row);  // without line break
// Throws ConfigError that names the file and the field. `file` may be "rows.jsonl:12".
[[nodiscard]] Row parse_row(const std::string& line, const std::string& file);
// Rows of a file. A last line that a killed run left incomplete (no line break at its end) is left out.
[[nodiscard]] std::vector<Row> read_rows(const std::filesystem::path& path);
// Appends one line and has the system write it to the disk. Throws ConfigError when it can't be written.
void append_line(const std::filesystem::path& path, const std::string& line);

[[nodiscard]] Json to_json(const Shape& shape);
[[nodiscard]] Shape read_shape(FieldReader& reader);
// "1x8/8 q4096 kv4096 d64 causal f32"
[[nodiscard]] std::string label(const Shape& shape);

// Hash of the files of KernelInfo::source under `root`, and of what they include from validation/, in order. "" when one is missing.
[[nodiscard]] std::string hash_of_sources(const std::string& source, const std::filesystem::path& root);

}  // namespace attnsim::bench
