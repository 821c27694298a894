// SPDX-License-Identifier: Apache-2.0
// expects: no match for .operator-=
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Flops result = Flops(4) -= Bytes(1);
#else
const Flops result = Flops(4) -= Flops(1);
#endif

int main() {
  (void)result;
}
