// SPDX-License-Identifier: Apache-2.0
// expects: no match for .operator[+]
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const auto result = Bytes(4) + Cycles(1);
#else
const auto result = Bytes(4) + Bytes(1);
#endif

int main() {
  (void)result;
}
