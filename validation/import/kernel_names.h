// SPDX-License-Identifier: Apache-2.0
// What a kernel of a profile is, from the table kernel_names.json beside this file: plain texts, no patterns.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/json_fwd.h"
#include "validation/import/recording.h"

namespace attnsim {

enum class KernelRole { kernel, part, other };

struct KernelRule {
  std::vector<std::string> contains;
  KernelRole role = KernelRole::kernel;
  std::string of;   // part: the `kernel` whose time it adds to
  std::string why;  // other
  std::string library, kernel, phase;
  std::string template_of;                                // "": nothing is read from the name
  std::map<std::string, std::string> template_arguments;  // what: path
};

struct OperatorRule {
  std::string name, kind;  // attention, gemm, rows
  std::string layout;      // attention: bhsd or bshd
  std::size_t causal = 0;  // attention: place of the flag among the inputs
  std::size_t first = 0;   // gemm: place of the left matrix
};

class KernelNames {
 public:
  [[nodiscard]] static KernelNames load();                               // the shipped table
  [[nodiscard]] static KernelNames parse(const JsonDocument& document);  // throws ConfigError: all problems at once

  [[nodiscard]] const KernelRule* find(const std::string& kernel) const;  // nullptr: no rule
  [[nodiscard]] const OperatorRule* find_operator(const std::string& name) const;
  // The name that workloads/devices.json knows; the name itself where no line says otherwise.
  [[nodiscard]] std::string device(const std::string& name) const;

 private:
  std::vector<KernelRule> kernels_;
  std::vector<OperatorRule> operators_;
  std::vector<std::pair<std::string, std::string>> devices_;
};

// The argument at a path such as "0.6" of the template that follows `of` in a C++ name; absent where there is none.
//   template_argument("f<g<64, half>, true>(int)", "f", "0.1") -> "half"
[[nodiscard]] std::optional<std::string> template_argument(const std::string& name, const std::string& of, const std::string& path);

// What the rule reads from the kernel's name: head_dim_qk, head_dim_v, dtype, mask.
[[nodiscard]] RowFields fields_of_name(const KernelRule& rule, const std::string& name);
// What the innermost operator that has a rule states: shape, dtype, mask. `problem`: why one with a rule states nothing usable.
[[nodiscard]] RowFields fields_of_operators(const KernelNames& names, const std::vector<OperatorCall>& operators, std::string& problem);

// "bf16", "fp16", "fp8" from a C++ or PyTorch type; "" for others.
[[nodiscard]] std::string dtype_of_type(const std::string& type);

}  // namespace attnsim
