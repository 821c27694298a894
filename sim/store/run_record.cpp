// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "sim/store/store.h"

namespace attnsim {

RunRecord run_record(std::string command_line, std::string git_hash, bool git_dirty, std::string attnsim_version) {
  std::array<char, 256> host{};
  const bool named = gethostname(host.data(), host.size() - 1) == 0;
  return {fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))),
          named ? host.data() : "",
          std::move(command_line),
          std::move(git_hash),
          git_dirty,
          std::move(attnsim_version)};
}

}  // namespace attnsim
