// SPDX-License-Identifier: Apache-2.0
// expects: conversion from .* requested
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Cycles result = Bytes(4);
#else
const Cycles result = Cycles(4);
#endif

int main() {
  (void)result;
}
