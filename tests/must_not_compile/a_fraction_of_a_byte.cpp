// SPDX-License-Identifier: Apache-2.0
// expects: narrowing conversion
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Bytes result{4.5};
#else
const Bytes result{4};
#endif

int main() {
  (void)result;
}
