// SPDX-License-Identifier: Apache-2.0
// expects: conversion from .* requested
#include "sim/core/units.h"

using namespace attnsim;

#ifdef MUST_NOT_COMPILE
const Bytes result = 4;
#else
const Bytes result = Bytes(4);
#endif

int main() {
  (void)result;
}
