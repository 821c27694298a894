// SPDX-License-Identifier: Apache-2.0
#define ATTNSIM_LANES 4
#define ATTNSIM_BLOCK_ROWS 6
#define ATTNSIM_ISA "portable"
#define ATTNSIM_KERNELS kPortable
#include "validation/host/kernels_body.inc"
