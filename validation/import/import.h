// SPDX-License-Identifier: Apache-2.0
// `attnsim import`: a profiler's file to measured rows. Nothing is lost: what makes no row stands in the report with its reason.
//
//   ImportOptions options{.file = "trace.json"};
//   Imported imported = import_rows(options);
//   write_rows("rows.csv", imported.rows);     // attnsim validate --file rows.csv
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "validation/import/kernel_names.h"

namespace attnsim {

[[nodiscard]] std::span<const ImportFormat> import_formats();

struct ImportOptions {
  std::filesystem::path file;
  std::string format = "auto";
  std::string device = {};  // "": as the file says
  RowFields set = {};       // columns of rows_format.h that hold for every row and win over what the file says
  bool merge = true;        // launches of equal rows become one with their median
};

struct UnmatchedReason {
  std::string reason;
  int count = 0;
  double time_us = 0;                 // of all of them, where they have a time
  std::vector<std::string> examples;  // at most three: place and name
};

struct MatchedKernel {
  std::string library, kernel;
  int launches = 0;
  double time_us = 0;  // of all launches, parts included
};

struct Imported {
  std::string format;
  std::vector<RowFields> rows;             // every column of rows_format.h
  std::vector<MatchedKernel> matched;      // by library and kernel
  int launches = 0;                        // kernels and rejected entries of the file
  int parts = 0;                           // launches whose time went to another
  std::vector<UnmatchedReason> unmatched;  // most frequent first
  std::vector<std::string> notes;
  [[nodiscard]] int unmatched_count() const;
};

// Throws ConfigError: the file can't be read, no format recognises it (or not the one that is asked for), a column to set that there is
// none of.
[[nodiscard]] Imported import_rows(const ImportOptions& options);

[[nodiscard]] std::string rows_csv(const std::vector<RowFields>& rows);

// A run config for `attnsim explain`: one workload with measured_us per row that a schedule stands for, of one chip (that of the first).
// `left_out` gets the others, with reasons.
[[nodiscard]] Json run_config_of(const std::vector<RowFields>& rows, std::vector<std::string>& left_out);

}  // namespace attnsim
