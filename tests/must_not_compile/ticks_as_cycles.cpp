// SPDX-License-Identifier: Apache-2.0
// expects: conversion from .* requested
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Cycles result = ticks_ceil(4);
#else
const Cycles result = to_cycles(ticks_ceil(4));
#endif

int main() {
  (void)result;
}
