// SPDX-License-Identifier: Apache-2.0
// attnsim-bench: lists, checks and times the kernels of a device.
//
//   attnsim-bench --backend host --check
//   attnsim-bench --backend host --plan quick --out rows.jsonl
//   attnsim-bench --backend host --micro --overlay host.json
#pragma once

#include <iosfwd>
#include <string>

namespace attnsim::bench {

// Exit code: 0; 1 when a check failed; 2 for what the user can mend; 3 where there is no such device.
int run_program(int argc, const char* const* argv, const std::string& version, std::ostream& out, std::ostream& err);

}  // namespace attnsim::bench
