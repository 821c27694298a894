// SPDX-License-Identifier: Apache-2.0
// expects: no match for .operator<
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const bool result = Nanoseconds(4) < Cycles(1);
#else
const bool result = Nanoseconds(4) < Nanoseconds(1);
#endif

int main() {
  (void)result;
}
