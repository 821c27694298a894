// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#define ATTNSIM_LANES 16
#define ATTNSIM_BLOCK_ROWS 12
#define ATTNSIM_ISA "avx512"
#define ATTNSIM_KERNELS kAvx512
#include "validation/host/kernels_body.inc"
#endif
