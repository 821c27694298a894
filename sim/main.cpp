// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "sim/cli/cli.h"

int main(int argc, char** argv) {
  return attnsim::cli::run_command_line(argc, argv, std::cout, std::cerr);
}
