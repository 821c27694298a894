// SPDX-License-Identifier: Apache-2.0
// expects: could not convert
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const auto result = per_cycle(GigabytesPerSecond(3350), GigabytesPerSecond(1000));
#else
const auto result = per_cycle(GigabytesPerSecond(3350), Megahertz(1000));
#endif

int main() {
  (void)result;
}
