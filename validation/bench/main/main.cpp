// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "sim/predict/identity.h"
#include "validation/bench/program/program.h"

int main(int argc, char** argv) {
  return attnsim::bench::run_program(argc, argv, attnsim::version_text(), std::cout, std::cerr);
}
