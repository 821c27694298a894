// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "sim/cli/cli.h"
#include "sim/core/heap.h"

int main(int argc, char** argv) {
  attnsim::keep_freed_memory();
  return attnsim::cli::run_command_line(argc, argv, std::cout, std::cerr);
}
