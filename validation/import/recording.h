// SPDX-License-Identifier: Apache-2.0
// What a profiler's file holds, before anyone has said what its kernels are.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace attnsim {

// Columns of rows_format.h by name, as text. Absent: not known.
using RowFields = std::map<std::string, std::string>;

// A framework's operator on the stack of a launch.
struct OperatorCall {
  std::string name;                             // aten::_flash_attention_forward
  std::vector<std::vector<std::int64_t>> dims;  // of its inputs; {} for what is no tensor
  std::vector<std::string> types;               // c10::BFloat16, ...
  std::vector<std::string> values;              // inputs that are no tensors, as text: "True", "0."
};

struct KernelRecord {
  std::string place;  // "line 7", "event 31"
  std::string name;   // as the file has it
  std::string device;
  std::string stream;
  double time_us = 0;
  double start_us = -1;                // -1: not told
  std::array<std::int64_t, 3> grid{};  // 0: not told
  std::array<std::int64_t, 3> block{};
  double sm_clock_mhz = 0;                 // 0: not told
  std::vector<OperatorCall> operators;     // innermost first
  RowFields fields;                        // what the file itself states of the row
  std::map<std::string, double> counters;  // by the names of counter_values.h, in base units
};

// An entry that is no kernel record, and why.
struct Rejected {
  std::string place, what, reason;
};

struct Recording {
  std::vector<KernelRecord> kernels;  // in order of launch where that is told, else of the file
  std::vector<Rejected> rejected;
  std::string harness;             // how this kind of file times
  std::vector<std::string> notes;  // for the report: columns that nobody reads, ...
};

struct ImportFormat {
  std::string_view name;
  std::string_view description;
  bool (*recognises)(std::string_view text);
  // Throws ConfigError where the text is no such file.
  Recording (*read)(const std::string& text, const std::string& file);
};

[[nodiscard]] bool is_ncu_csv(std::string_view text);
[[nodiscard]] Recording read_ncu_csv(const std::string& text, const std::string& file);
[[nodiscard]] bool is_kineto(std::string_view text);
[[nodiscard]] Recording read_kineto(const std::string& text, const std::string& file);
[[nodiscard]] bool is_natten_table(std::string_view text);
[[nodiscard]] Recording read_natten_table(const std::string& text, const std::string& file);
[[nodiscard]] bool is_plain_csv(std::string_view text);
[[nodiscard]] Recording read_plain_csv(const std::string& text, const std::string& file);

}  // namespace attnsim
