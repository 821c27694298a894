// SPDX-License-Identifier: Apache-2.0
// Warp-wide instructions of sm_80: ldmatrix, mma.m16n8k16, cp.async, and 16-byte accesses.
#pragma once

#include "validation/cuda/element.cuh"
#include "validation/cuda/swizzle.cuh"

namespace attnsim::cuda {

#ifndef __CUDACC__
namespace emulated {

// Wavefronts that 16-byte rows at eight addresses need, one being ideal: the most rows that share a bank group of 16 bytes.
inline int wavefronts_of_rows(const std::uint32_t* addresses) {
  int most = 0;
  for (int i = 0; i < 8; ++i) {
    int same = 0;
    for (int j = 0; j < 8; ++j) same += addresses[i] / 16 % 8 == addresses[j] / 16 % 8 ? 1 : 0;
    most = same > most ? same : most;
  }
  return most;
}

struct LoadMatrix {
  std::uint32_t address;
  std::uint32_t* out;
};

// Each lane's address gives one row; lane l receives of matrix m: (row l / 4, cols 2 (l % 4), + 1), or of its transpose.
inline void load_matrix(LoadMatrix mine, bool transposed) {
  emulate::warp_together(&mine, [transposed](void* const* lanes) {
    std::uint16_t values[4][8][8];
    for (int m = 0; m < 4; ++m) {
      std::uint32_t rows[8];
      for (int r = 0; r < 8; ++r) {
        rows[r] = static_cast<LoadMatrix*>(lanes[8 * m + r])->address;
        if (rows[r] % 16 != 0) emulate::fail("ldmatrix of a misaligned row");
        std::memcpy(values[m][r], emulate::shared_pointer(rows[r], 16), 16);
      }
      emulate::counts().shared_wavefronts += wavefronts_of_rows(rows);
      emulate::counts().shared_wavefronts_ideal += 1;
    }
    for (int l = 0; l < 32; ++l) {
      for (int m = 0; m < 4; ++m) {
        const int a = l / 4;
        const int b = l % 4 * 2;
        const std::uint32_t low = transposed ? values[m][b][a] : values[m][a][b];
        const std::uint32_t high = transposed ? values[m][b + 1][a] : values[m][a][b + 1];
        static_cast<LoadMatrix*>(lanes[l])->out[m] = low | high << 16;
      }
    }
  });
}

template <class E>
float half_of(std::uint32_t reg, int half) {
  return to_float(E{static_cast<std::uint16_t>(reg >> (16 * half))});
}

struct Mma {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

// PTX ISA, fragments of mma.m16n8k16: A register i holds row lane / 4 + 8 (i % 2), cols 2 (lane % 4) + 8 (i / 2) + {0, 1};
// B register i holds k = 2 (lane % 4) + 8 i + {0, 1}, n = lane / 4.
template <class E>
void mma(Mma mine) {
  emulate::warp_together(&mine, [](void* const* lanes) {
    float a[16][16];
    float b[16][8];
    for (int l = 0; l < 32; ++l) {
      const Mma& lane = *static_cast<Mma*>(lanes[l]);
      for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 4; ++i) a[l / 4 + 8 * (i % 2)][l % 4 * 2 + 8 * (i / 2) + half] = half_of<E>(lane.a[i], half);
        for (int i = 0; i < 2; ++i) b[l % 4 * 2 + 8 * i + half][l / 4] = half_of<E>(lane.b[i], half);
      }
    }
    for (int l = 0; l < 32; ++l) {
      for (int i = 0; i < 4; ++i) {
        float sum = static_cast<Mma*>(lanes[l])->d[i];
        for (int k = 0; k < 16; ++k) sum += a[l / 4 + i / 2 * 8][k] * b[k][l % 4 * 2 + i % 2];
        static_cast<Mma*>(lanes[l])->d[i] = sum;
      }
    }
    emulate::counts().mma_flops += 2 * 16 * 8 * 16;
  });
}

}  // namespace emulated
#endif

ATTNSIM_D void ldmatrix(std::uint32_t (&out)[4], std::uint32_t address) {
#ifdef __CUDACC__
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
#else
  emulated::load_matrix({address, out}, false);
#endif
}

ATTNSIM_D void ldmatrix_transposed(std::uint32_t (&out)[4], std::uint32_t address) {
#ifdef __CUDACC__
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
#else
  emulated::load_matrix({address, out}, true);
#endif
}

// d [16 x 8, f32] += a [16 x 16] b [16 x 8].
template <class E>
ATTNSIM_D void mma_16x8x16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#ifdef __CUDACC__
  if constexpr (kSame<E, Bf16>) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#else
  emulated::mma<E>({d, a, b});
#endif
}

// 16 bytes from global to shared memory, past the L1; zeros where !valid (nothing is read then, but the address must be a valid one).
ATTNSIM_D void cp_async_16(std::uint32_t to, const void* from, bool valid) {
#ifdef __CUDACC__
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
#else
  std::uint8_t* target = emulate::shared_pointer(to, 16);
  if (valid) emulate::counts().cp_async_bytes += 16;
  emulate::copy_async([target, from, valid] {
    if (valid) {
      std::memcpy(target, from, 16);
    } else {
      std::memset(target, 0, 16);
    }
  });
#endif
}
ATTNSIM_D void cp_async_commit() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulate::copy_commit();
#endif
}
// Until at most `kGroups` groups of this thread are under way.
template <int kGroups>
ATTNSIM_D void cp_async_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#else
  emulate::copy_wait(kGroups);
#endif
}

ATTNSIM_D void store_shared_32(std::uint32_t address, std::uint32_t value) {
#ifdef __CUDACC__
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
#else
  std::memcpy(emulate::shared_pointer(address, 4), &value, 4);
  emulate::warp_together(&address, [](void* const* lanes) {
    int most = 0;
    for (int i = 0; i < 32; ++i) {
      int same = 0;
      for (int j = 0; j < 32; ++j)
        same += *static_cast<std::uint32_t*>(lanes[i]) / 4 % 32 == *static_cast<std::uint32_t*>(lanes[j]) / 4 % 32;
      most = same > most ? same : most;
    }
    emulate::counts().shared_wavefronts += most;
    emulate::counts().shared_wavefronts_ideal += 1;
  });
#endif
}
ATTNSIM_D uint4 load_shared_128(std::uint32_t address) {
  uint4 value;
#ifdef __CUDACC__
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(address)
               : "memory");
#else
  std::memcpy(&value, emulate::shared_pointer(address, 16), 16);
#endif
  return value;
}

}  // namespace attnsim::cuda
