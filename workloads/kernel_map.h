// SPDX-License-Identifier: Apache-2.0
// Which schedule stands for which library kernel, as data: workloads/kernel_maps/*.json, each with its sources. Files are searched in
// order of their names, entries in file order; the first that matches decides. Patterns may hold `*`.
//
//   maps.find({.library = "vllm", .version = "0.24.0", .kernel = "vllm_flash_attn_fa3", .device = "h100_sxm", .phase = "decode",
//              .dtype = "bf16", .head_dim = 128, .q_len = 1, .windowed = false, .paged = true})
//   -> entry: schedule splitkv-decode-sm90, harness vllm-replay-h100
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/json_fwd.h"

namespace attnsim {

struct MapKey {
  std::string library, version, kernel, device, phase, dtype;
  std::string options = {};  // as the row states them
  std::int64_t head_dim = 0;
  std::int64_t q_len = 0;
  std::int64_t group = 1;  // query heads per KV head
  bool windowed = false;
  std::optional<bool> paged;  // absent: not stated, matches only entries that do not ask
};

// Kernels of a call that a timing counts, and how often each. Empty: the whole call with its launches.
using TimedKernels = std::vector<std::pair<std::string, std::int64_t>>;

struct KernelMapEntry {
  std::string library, versions, kernel, options;  // patterns
  std::vector<std::string> devices;                // patterns
  std::vector<std::string> phases;                 // empty: any
  std::vector<std::string> dtypes;                 // empty: any
  std::int64_t head_dim_min = 1, head_dim_max = 1 << 16;
  std::int64_t q_len_min = 1, q_len_max = std::int64_t{1} << 40;
  std::int64_t group_min = 1, group_max = 1 << 16;
  std::optional<bool> windowed, paged;
  bool ignores_window = false;  // the kernel visits every tile below the diagonal and only masks by the window
  std::string computes;         // element type of tensors and products where it is not the row's
  std::string measured_on;      // device of the source, where the row states another
  bool ignores_causal = false;  // the kernel visits every tile and only masks by the diagonal
  std::string schedule;         // "" where `unmapped` says why
  std::string then_backward;    // schedule of the backward pass, where one timing holds it behind the forward pass; "": one pass
  std::string harness;
  TimedKernels timed;  // names of the lowered kernels
  std::string unmapped;
  std::string source;
  std::string place;  // file and JSON pointer

  [[nodiscard]] bool matches(const MapKey& key) const;
};

class KernelMaps {
 public:
  // The shipped maps. Throws ConfigError: all problems of a file at once.
  [[nodiscard]] static KernelMaps load();
  void add(const JsonDocument& document);
  void add_devices(const JsonDocument& document);

  struct Found {
    const KernelMapEntry* entry = nullptr;  // nullptr: unmapped
    std::string reason;                     // why, when unmapped
  };
  [[nodiscard]] Found find(const MapKey& key) const;
  // The chip that a device name of a measurement file means; absent when no figure describes it.
  [[nodiscard]] std::optional<std::string> chip_of(const std::string& device) const;
  [[nodiscard]] const std::vector<KernelMapEntry>& entries() const { return entries_; }

 private:
  std::vector<KernelMapEntry> entries_;
  std::vector<std::pair<std::string, std::string>> devices_;  // pattern, chip
};

// `*` stands for any text, also none.
[[nodiscard]] bool matches_pattern(const std::string& pattern, const std::string& text);

}  // namespace attnsim
