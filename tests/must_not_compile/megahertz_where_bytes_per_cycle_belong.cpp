// SPDX-License-Identifier: Apache-2.0
// expects: could not convert
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Cycles result = transfer_cycles(Bytes(4), Megahertz(1000));
#else
const Cycles result = transfer_cycles(Bytes(4), BytesPerCycle(1000));
#endif

int main() {
  (void)result;
}
