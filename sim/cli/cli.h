// SPDX-License-Identifier: Apache-2.0
// The attnsim command. The only layer that writes to the terminal and the only one that knows exit codes:
//   0 done, 1 a fit that was refused, 2 the user's mistake (config, command line), 3 the model can't go on, 4 our fault
#pragma once

#include <iosfwd>

namespace attnsim::cli {

int run_command_line(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace attnsim::cli
