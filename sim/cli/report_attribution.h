// SPDX-License-Identifier: Apache-2.0
// The parts of `explain` that say why: critical sequence, counters, what would help, what would explain a measured time. Pure.
#pragma once

#include <string>

#include "sim/core/json_fwd.h"
#include "sim/predict/explanation.h"

namespace attnsim::cli {

//   critical sequence            on         share  times
//     softmax          consumer1 vector    61.2 %    128
[[nodiscard]] std::string critical_text(const CriticalSequence& sequence, bool sampled);
[[nodiscard]] std::string counters_text(const KernelResult& kernel);
[[nodiscard]] std::string helps_text(const Sensitivities& helps);
[[nodiscard]] std::string verdict_text(const Verdict& verdict);
[[nodiscard]] Json counters_json(const KernelResult& kernel);
[[nodiscard]] Json explanation_json(const Explanation& explanation);

}  // namespace attnsim::cli
