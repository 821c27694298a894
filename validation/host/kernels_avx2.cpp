// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#define ATTNSIM_LANES 8
#define ATTNSIM_BLOCK_ROWS 6
#define ATTNSIM_ISA "avx2"
#define ATTNSIM_KERNELS kAvx2
#include "validation/host/kernels_body.inc"
#endif
