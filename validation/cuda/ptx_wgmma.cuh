// SPDX-License-Identifier: Apache-2.0
// Warpgroup products of sm_90: d [64 x N, f32] (+)= a [64 x 16] b [16 x N], a from shared memory or registers, b from shared memory.
// Lane l of warp w of the group holds of columns 8 j .. 8 j + 7 what accumulator_row and accumulator_col say, 16 w rows further down.
#pragma once

#include "validation/cuda/element.cuh"
#include "validation/cuda/swizzle.cuh"

namespace attnsim::cuda {

// Shared-memory matrix descriptor (PTX ISA, "Matrix descriptor"), 128-byte swizzle: bits 0-13 start / 16, 16-29 leading byte offset / 16,
// 32-45 stride byte offset / 16, 62-63 = 1. Tiles are panels of 64 columns (swizzle.cuh).
// K-major (the product sums over the tile's columns): groups of eight rows are 1024 bytes apart, the leading offset is not used.
// MN-major (the product sums over the tile's rows): leading offset = next panel, stride = next group of eight rows.
constexpr ATTNSIM_HD std::uint64_t matrix_descriptor(std::uint32_t start, std::uint32_t leading_bytes, std::uint32_t stride_bytes) {
  return static_cast<std::uint64_t>((start & 0x3ffffU) >> 4) | static_cast<std::uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<std::uint64_t>(stride_bytes >> 4) << 32 | std::uint64_t{1} << 62;
}
// Operand block of 16 columns c (of 64-column panels) for a K-major tile.
constexpr ATTNSIM_HD std::uint64_t k_major(std::uint32_t tile, int rows, int c) {
  return matrix_descriptor(tile + static_cast<std::uint32_t>(c / 4 * rows * kPanelRowBytes + c % 4 * 32), 16, 8 * kPanelRowBytes);
}
// Operand block of 16 rows r for an MN-major tile.
constexpr ATTNSIM_HD std::uint64_t mn_major(std::uint32_t tile, int rows, int r) {
  return matrix_descriptor(tile + static_cast<std::uint32_t>(r * 16 * kPanelRowBytes), static_cast<std::uint32_t>(rows * kPanelRowBytes),
                           8 * kPanelRowBytes);
}

#ifndef __CUDACC__
namespace emulated {

struct Operand {
  std::uint32_t start, leading, stride;
  explicit Operand(std::uint64_t descriptor)
      : start(static_cast<std::uint32_t>(descriptor & 0x3fff) * 16),
        leading(static_cast<std::uint32_t>(descriptor >> 16 & 0x3fff) * 16),
        stride(static_cast<std::uint32_t>(descriptor >> 32 & 0x3fff) * 16) {
    if (descriptor >> 62 != 1) emulate::fail("descriptor without the 128-byte swizzle");
  }
  // Element (mn, k) of the operand; the swizzle acts on address bits.
  template <class E>
  [[nodiscard]] float at(int mn, int k, bool mn_is_contiguous) const {
    const std::uint32_t linear = mn_is_contiguous
                                     ? static_cast<std::uint32_t>(mn / 64 * static_cast<int>(leading) + mn % 64 * 2 +
                                                                  k / 8 * static_cast<int>(stride) + k % 8 * kPanelRowBytes)
                                     : static_cast<std::uint32_t>(mn / 8 * static_cast<int>(stride) + mn % 8 * kPanelRowBytes + k * 2);
    E element;
    std::memcpy(&element, emulate::shared_pointer(swizzle128(start + linear), 2), 2);
    return to_float(element);
  }
};

struct Wgmma {
  float* d;
  const std::uint32_t* a;  // registers, or null
  std::uint64_t a_descriptor;
  std::uint64_t b_descriptor;
  int n;
  bool b_transposed;
  bool accumulate;
};

template <class E>
void wgmma(Wgmma mine) {
  emulate::warpgroup_together(&mine, [](void* const* pointers) {
    std::vector<Wgmma> lanes;
    for (int l = 0; l < 128; ++l) lanes.push_back(*static_cast<Wgmma*>(pointers[l]));
    emulate::counts().wgmma_flops += 2 * 64 * 16 * lanes[0].n;
    emulate::wgmma_issue([lanes] {
      const int n = lanes[0].n;
      const Operand b_operand(lanes[0].b_descriptor);
      std::vector<float> a(64 * 16);
      std::vector<float> b(static_cast<std::size_t>(16 * n));
      for (int k = 0; k < 16; ++k) {
        for (int c = 0; c < n; ++c) b[static_cast<std::size_t>(k * n + c)] = b_operand.at<E>(c, k, lanes[0].b_transposed);
      }
      if (lanes[0].a == nullptr) {
        const Operand a_operand(lanes[0].a_descriptor);
        for (int r = 0; r < 64; ++r) {
          for (int k = 0; k < 16; ++k) a[static_cast<std::size_t>(r * 16 + k)] = a_operand.at<E>(r, k, false);
        }
      } else {
        for (int l = 0; l < 128; ++l) {
          for (int i = 0; i < 8; ++i) {
            const int r = l / 32 * 16 + l % 32 / 4 + i / 2 % 2 * 8;
            const int k = l % 4 * 2 + i / 4 * 8 + i % 2;
            const std::uint32_t pair = lanes[static_cast<std::size_t>(l)].a[i / 2];
            a[static_cast<std::size_t>(r * 16 + k)] = to_float(E{static_cast<std::uint16_t>(pair >> (i % 2 * 16))});
          }
        }
      }
      for (int l = 0; l < 128; ++l) {
        for (int i = 0; i < n / 2; ++i) {
          const int r = l / 32 * 16 + accumulator_row(l % 32, i % 4);
          const int c = i / 4 * 8 + accumulator_col(l % 32, i % 4);
          float sum = lanes[0].accumulate ? lanes[static_cast<std::size_t>(l)].d[i] : 0.0F;
          for (int k = 0; k < 16; ++k) sum += a[static_cast<std::size_t>(r * 16 + k)] * b[static_cast<std::size_t>(k * n + c)];
          lanes[static_cast<std::size_t>(l)].d[i] = sum;
        }
      }
    });
  });
}

}  // namespace emulated
#endif

// Registers written by ordinary code are seen by the products issued next.
ATTNSIM_D void wgmma_fence() {
#ifdef __CUDACC__
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
ATTNSIM_D void wgmma_commit() {
#ifdef __CUDACC__
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  emulate::warpgroup_together(nullptr, [](void* const*) { emulate::wgmma_commit(); });
#endif
}
// Until at most `kGroups` groups of this warpgroup are under way.
template <int kGroups>
ATTNSIM_D void wgmma_wait() {
#ifdef __CUDACC__
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
#else
  emulate::warpgroup_together(nullptr, [](void* const*) { emulate::wgmma_wait(kGroups); });
#endif
}
// Keeps the compiler from moving accesses to accumulators over a wait.
template <int N>
ATTNSIM_D void wgmma_keep(float (&d)[N][4]) {
#ifdef __CUDACC__
#pragma unroll
  for (int n = 0; n < N; ++n) asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
#else
  static_cast<void>(d);
#endif
}

#ifdef __CUDACC__
// Operand lists of N / 2 accumulators, in pieces of 32.
#define ATTNSIM_NAMES_0                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ATTNSIM_NAMES_1                                                              \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define ATTNSIM_NAMES_2                                                              \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define ATTNSIM_NAMES_3                                                                          \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define ATTNSIM_FOUR(d, j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define ATTNSIM_32(d, j)                                                                                              \
  ATTNSIM_FOUR(d, j), ATTNSIM_FOUR(d, j + 1), ATTNSIM_FOUR(d, j + 2), ATTNSIM_FOUR(d, j + 3), ATTNSIM_FOUR(d, j + 4), \
      ATTNSIM_FOUR(d, j + 5), ATTNSIM_FOUR(d, j + 6), ATTNSIM_FOUR(d, j + 7)
#define ATTNSIM_WGMMA_SS(N, TYPE, NAMES, A, B, ACCUMULATE, TRANSPOSE, ...)                                                         \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ACCUMULATE ", 0;\nwgmma.mma_async.sync.aligned.m64n" N "k16.f32." TYPE "." TYPE \
               " {" NAMES "}, " A ", " B ", p, 1, 1, 0, " TRANSPOSE ";\n}\n"                                                       \
               : __VA_ARGS__                                                                                                       \
               : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)), "n"(static_cast<int>(kTransposeB)))
#define ATTNSIM_WGMMA_RS(N, TYPE, NAMES, A, B, ACCUMULATE, TRANSPOSE, ...)                                                         \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ACCUMULATE ", 0;\nwgmma.mma_async.sync.aligned.m64n" N "k16.f32." TYPE "." TYPE \
               " {" NAMES "}, {" A "}, " B ", p, 1, 1, " TRANSPOSE ";\n}\n"                                                        \
               : __VA_ARGS__                                                                                                       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)),                            \
                 "n"(static_cast<int>(kTransposeB)))
#endif

// b's rows in memory are columns of B unless kTransposeB (k_major, mn_major).
template <class E, int N, bool kTransposeB>
ATTNSIM_D void wgmma_ss(float (&d)[N / 8][4], std::uint64_t a, std::uint64_t b, bool accumulate) {
#ifdef __CUDACC__
  constexpr bool kBf16 = kSame<E, Bf16>;
  if constexpr (N == 64 && kBf16) {
    ATTNSIM_WGMMA_SS("64", "bf16", ATTNSIM_NAMES_0, "%32", "%33", "%34", "%35", ATTNSIM_32(d, 0));
  } else if constexpr (N == 64 && !kBf16) {
    ATTNSIM_WGMMA_SS("64", "f16", ATTNSIM_NAMES_0, "%32", "%33", "%34", "%35", ATTNSIM_32(d, 0));
  } else if constexpr (N == 128 && kBf16) {
    ATTNSIM_WGMMA_SS("128", "bf16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1, "%64", "%65", "%66", "%67", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8));
  } else if constexpr (N == 128 && !kBf16) {
    ATTNSIM_WGMMA_SS("128", "f16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1, "%64", "%65", "%66", "%67", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8));
  } else if constexpr (N == 256 && kBf16) {
    ATTNSIM_WGMMA_SS("256", "bf16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1 ", " ATTNSIM_NAMES_2 ", " ATTNSIM_NAMES_3, "%128", "%129", "%130",
                     "%131", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8), ATTNSIM_32(d, 16), ATTNSIM_32(d, 24));
  } else if constexpr (N == 256 && !kBf16) {
    ATTNSIM_WGMMA_SS("256", "f16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1 ", " ATTNSIM_NAMES_2 ", " ATTNSIM_NAMES_3, "%128", "%129", "%130",
                     "%131", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8), ATTNSIM_32(d, 16), ATTNSIM_32(d, 24));
  }
#else
  emulated::wgmma<E>({&d[0][0], nullptr, a, b, N, kTransposeB, accumulate});
#endif
}

// `a` must keep its value until the product is waited for.
template <class E, int N, bool kTransposeB>
ATTNSIM_D void wgmma_rs(float (&d)[N / 8][4], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate) {
#ifdef __CUDACC__
  constexpr bool kBf16 = kSame<E, Bf16>;
  if constexpr (N == 64 && kBf16) {
    ATTNSIM_WGMMA_RS("64", "bf16", ATTNSIM_NAMES_0, "%32, %33, %34, %35", "%36", "%37", "%38", ATTNSIM_32(d, 0));
  } else if constexpr (N == 64 && !kBf16) {
    ATTNSIM_WGMMA_RS("64", "f16", ATTNSIM_NAMES_0, "%32, %33, %34, %35", "%36", "%37", "%38", ATTNSIM_32(d, 0));
  } else if constexpr (N == 128 && kBf16) {
    ATTNSIM_WGMMA_RS("128", "bf16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1, "%64, %65, %66, %67", "%68", "%69", "%70", ATTNSIM_32(d, 0),
                     ATTNSIM_32(d, 8));
  } else if constexpr (N == 128 && !kBf16) {
    ATTNSIM_WGMMA_RS("128", "f16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1, "%64, %65, %66, %67", "%68", "%69", "%70", ATTNSIM_32(d, 0),
                     ATTNSIM_32(d, 8));
  } else if constexpr (N == 256 && kBf16) {
    ATTNSIM_WGMMA_RS("256", "bf16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1 ", " ATTNSIM_NAMES_2 ", " ATTNSIM_NAMES_3,
                     "%128, %129, %130, %131", "%132", "%133", "%134", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8), ATTNSIM_32(d, 16),
                     ATTNSIM_32(d, 24));
  } else if constexpr (N == 256 && !kBf16) {
    ATTNSIM_WGMMA_RS("256", "f16", ATTNSIM_NAMES_0 ", " ATTNSIM_NAMES_1 ", " ATTNSIM_NAMES_2 ", " ATTNSIM_NAMES_3, "%128, %129, %130, %131",
                     "%132", "%133", "%134", ATTNSIM_32(d, 0), ATTNSIM_32(d, 8), ATTNSIM_32(d, 16), ATTNSIM_32(d, 24));
  }
#else
  emulated::wgmma<E>({&d[0][0], a, 0, b, N, kTransposeB, accumulate});
#endif
}

}  // namespace attnsim::cuda
