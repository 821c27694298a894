// SPDX-License-Identifier: Apache-2.0
// Hand-made results with round numbers.
#pragma once

#include <filesystem>
#include <string>

#include "sim/store/store.h"
#include "tests/support/temporary_folder.h"

namespace attnsim::test {

// Rungs 10, 20, 40, 50 and 80 us times `scale`; two kernels.
[[nodiscard]] Result sample_result(const std::string& workload, double scale = 1);
[[nodiscard]] RunRecord sample_run(const std::string& host = "host-a");
[[nodiscard]] StoredComparison sample_comparison(const Result& result, const Result& baseline);
[[nodiscard]] std::string read_bytes(const std::filesystem::path& file);

}  // namespace attnsim::test
